"""A federation on one machine: real sites with keys, ledgers and policies, a real coordinator, one channel."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clients.config import CeilingConfig, SiteConfig, SiteFolder
from clients.site import Site
from scenarios.experiments.channel import InProcessChannel
from scenarios.experiments.drafting import draft, sign
from scenarios.experiments.flower import conduct_under_flower
from scenarios.experiments.ground import Ground, site_config
from scenarios.experiments.public import public_score
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec
from server.certify import conclude
from server.checkpoint import Checkpoint, RunFolder
from server.gates import PublicScore
from server.rounds import Service, Watch, conduct


@dataclass(frozen=True, slots=True)
class Federation:
    """One cell's sites and its run folder, ready to sail or to go on after a crash.

    ``score`` is the coordinator's, where the charter has a rollback.
    """

    run: RunFolder
    sites: Mapping[str, SiteFolder]
    score: PublicScore | None = None

    def conduct(self, watch: Watch) -> Checkpoint:
        """Every round that is left, all sites in this process; then the certificate."""
        charter = self.run.charter()
        sites = [Site(site, site.engagement(charter)).handle for site in self.sites.values()]
        channel = InProcessChannel(sites)
        finished = conduct(channel, self.run, watch, Service(score=self.score))
        conclude(channel, self.run)
        return finished

    def conduct_under_flower(self, watch: Watch) -> Checkpoint:
        """The same under ``flwr run``, each site a process of its own."""
        return conduct_under_flower(self.run, {name: site.path for name, site in self.sites.items()}, watch)


def found(ground: Ground, cell: Cell, folder: Path) -> Federation:
    """Make the cell's sites, draft a charter, let every site sign and pin it; a cell that exists is reopened."""
    spec, home = ground.spec, Path(ground.spec.sites) if ground.spec.sites else folder / "sites"
    sites = {
        name: SiteFolder.create(home / name, _site_config(spec, cell, name)) for name in ground.scenarios
    }
    run = RunFolder(folder / "server")
    if not run.exists():
        keys = {name: site.identity().public_key().public_bytes_raw() for name, site in sites.items()}
        signed = sign(draft(spec, cell, ground.scenarios, keys, ground.model), sites)
        RunFolder.create(run.path, signed, ground.initial)
    for site in sites.values():
        ground.basis.save(site.pin(run.signed()).basis_path)
    return Federation(run, sites, public_score(ground, spec.public) if spec.public else None)


def _site_config(spec: ExperimentSpec, cell: Cell, platform: str) -> SiteConfig:
    config = site_config(spec, platform)
    if cell.epsilon is None:
        return config
    ceiling = CeilingConfig(epsilon=spec.privacy.ceiling or cell.epsilon, delta=spec.privacy.delta)
    return config.model_copy(update={"ceiling": ceiling})
