"""What test files share."""

import pytest


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all pages: Playwright cannot be started twice in a process."""
    from playwright.sync_api import sync_playwright
    from test_browser import CHROMIUM, FLAGS

    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()
