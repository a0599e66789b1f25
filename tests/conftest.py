"""What test files share."""

import pytest


@pytest.fixture(scope="module")
def browser():
    """One Chromium for all pages of a file. While Playwright runs, its process can start no second one, and no kernel."""
    from playwright.sync_api import sync_playwright
    from test_browser import CHROMIUM, FLAGS

    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()
