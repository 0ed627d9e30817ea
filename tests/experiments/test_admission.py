"""Admission: what cannot be paid to its end is refused before anything is read or written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients.config import CeilingConfig, SiteConfig, SiteFolder
from clients.policy import PrivateCatalogue
from common.errors import DataError, PrivacyRefused
from common.privacy.errors import CeilingExceeded
from common.privacy.ledger import Charge
from scenarios.experiments.admission import admit, require_files, require_public_catalogues
from scenarios.experiments.cells import cells, slug
from scenarios.experiments.forecast import forecast
from scenarios.experiments.ground import declared, site_config
from scenarios.experiments.plans import member_plan
from scenarios.experiments.runner import run_experiment
from scenarios.experiments.spec import ExperimentSpec

Shops = Callable[..., ExperimentSpec]


@pytest.fixture
def spec(shops: Shops, tmp_path: Path) -> Callable[..., ExperimentSpec]:
    """An experiment whose data are gone: whoever reads them fails."""

    def make(**changes: Any) -> ExperimentSpec:
        made = shops(tmp_path, **changes)
        for path in tmp_path.glob("*.csv"):
            path.unlink()
        return made

    return make


def private(**fields: Any) -> dict[str, Any]:
    return {"epsilons": (2.0, 1.0), "unprotected": False, "spare": 0, **fields}


def test_a_what_if_pays_each_cell_from_a_ledger_of_its_own(spec: Any, tmp_path: Path) -> None:
    admit(spec(privacy=private()), tmp_path / "out")
    admit(spec(privacy=private(ceiling=2.0, repeats=5)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_ceiling_below_the_plan_names_the_platform(spec: Any, tmp_path: Path) -> None:
    with pytest.raises(
        CeilingExceeded, match=r"^amber: would spend ε = [12]\.\d+ of a ceiling of 1\.5"
    ) as caught:
        admit(spec(privacy=private(ceiling=1.5)), tmp_path / "out")
    assert caught.value.exit_code == 3
    assert not (tmp_path / "out").exists()


def test_spare_rounds_are_paid_for_too(spec: Any, tmp_path: Path) -> None:
    """Two more rounds of the same noise would cost more, so the plan takes more noise instead."""
    plain, spared = spec(privacy=private()), spec(privacy=private(spare=2))
    scenario = declared(plain)["salt"]
    assert member_plan(spared, scenario, 2.0).rounds == 4
    assert (
        member_plan(spared, scenario, 2.0).noise_multiplier
        > member_plan(plain, scenario, 2.0).noise_multiplier
    )
    admit(spared, tmp_path / "out")


def test_cells_that_were_begun_are_left_to_their_sites(spec: Any, tmp_path: Path) -> None:
    asked = spec(privacy=private(ceiling=1.5))
    (begun,) = [cell for cell in cells(asked) if cell.epsilon == 2.0]
    (tmp_path / "out" / "cells" / slug(begun)).mkdir(parents=True)
    admit(asked, tmp_path / "out")


def test_without_private_cells_nothing_is_asked(spec: Any, tmp_path: Path) -> None:
    admit(spec(systems=("pooled",), privacy=private(ceiling=0.001)), tmp_path / "out")
    admit(spec(privacy={"epsilons": (), "ceiling": 0.001}), tmp_path / "out")


def test_every_file_is_looked_for_before_one_is_read(shops: Shops, tmp_path: Path) -> None:
    spec = shops(tmp_path)
    require_files(spec)
    (tmp_path / "timber.csv").unlink()
    with pytest.raises(DataError, match=r"timber\.csv: no such file"):
        run_experiment(spec, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("ask", [forecast, lambda spec: run_experiment(spec, Path("out"))])
def test_a_private_run_over_items_of_the_events_is_refused_before_any_is_read(
    spec: Any, tmp_path: Path, ask: Callable[[ExperimentSpec], object]
) -> None:
    asked, salt = spec(), tmp_path / "salt.toml"
    salt.write_text(salt.read_text().replace(', items = "items.csv"', ""))
    with pytest.raises(PrivateCatalogue, match="salt"):
        ask(asked)
    open_run = spec(privacy={"epsilons": ()})
    salt.write_text(salt.read_text().replace(', items = "items.csv"', ""))
    require_public_catalogues(open_run, declared(open_run))


def named(spec: ExperimentSpec, ceiling: float | None) -> SiteFolder:
    """A site that its platform made by itself, before any experiment."""
    limit = None if ceiling is None else CeilingConfig(epsilon=ceiling, delta=1e-5)
    assert spec.sites is not None
    config: SiteConfig = site_config(spec, "salt").model_copy(update={"ceiling": limit})
    return SiteFolder.create(Path(spec.sites) / "salt", config)


def test_named_sites_pay_all_cells_from_one_ledger(spec: Any, tmp_path: Path) -> None:
    sites = str(tmp_path / "named")
    with pytest.raises(CeilingExceeded, match="of a ceiling of 2:"):
        admit(spec(sites=sites, privacy=private(ceiling=2.0)), tmp_path / "out")
    admit(spec(sites=sites, privacy=private(ceiling=3.0)), tmp_path / "out")
    assert not (tmp_path / "named").exists()


def test_a_site_that_is_there_goes_by_its_own_ceiling(spec: Any, tmp_path: Path) -> None:
    asked = spec(sites=str(tmp_path / "named"), privacy=private(ceiling=3.0))
    site = named(asked, 1.5)
    with pytest.raises(CeilingExceeded, match=r"^salt: .* of a ceiling of 1\.5"):
        admit(asked, tmp_path / "out")
    assert not site.has_ledger()


def test_what_its_ledger_holds_counts(spec: Any, tmp_path: Path) -> None:
    asked = spec(sites=str(tmp_path / "named"), privacy=private(epsilons=(1.0,), ceiling=9.0))
    site = named(asked, 1.2)
    admit(asked, tmp_path / "out")
    plan = member_plan(asked, declared(asked)["salt"], 1.0)
    for number in (1, 2):
        site.ledger().charge(Charge("an earlier run", number, 1, "training", plan.per_round))
    with pytest.raises(CeilingExceeded, match="2 charges so far"):
        admit(asked, tmp_path / "out")
    assert len(site.ledger().entries()) == 2


def test_a_site_without_a_ceiling_takes_part_in_no_private_run(spec: Any, tmp_path: Path) -> None:
    asked = spec(sites=str(tmp_path / "named"), privacy=private(ceiling=3.0))
    named(asked, None)
    with pytest.raises(PrivacyRefused, match="this site has no ceiling"):
        admit(asked, tmp_path / "out")
