import numpy as np

from common.model.windows import PADDING, last_windows


def test_windows_hold_the_latest_items_oldest_first(histories):
    windows = last_windows(histories, 4)
    assert windows.items.tolist() == [
        [1, 2, 3, PADDING],
        [7, PADDING, PADDING, PADDING],
        [PADDING] * 4,
        [26, 27, 28, 29],
    ]
    assert windows.lengths.tolist() == [3, 1, 0, 4]
    assert np.array_equal(windows.values, windows.items != PADDING)


def test_some_users_in_another_order(histories):
    assert last_windows(histories, 2).of(np.array([1, 0])).items.tolist() == [[7, PADDING], [2, 3]]
