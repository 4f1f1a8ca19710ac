"""An `EventSource` in headless Chromium: events, a broken connection, and what was missed."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from carboy import EventChannel, EventStream, request
from carboy.sse import Subscription

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
PATIENCE = 30  # seconds; a wait ends as soon as the page is ready

PAGE = """
<!doctype html><title>Events</title>
<script>
  window.seen = [];
  window.opened = 0;
  const source = new EventSource("/events");
  source.onopen = () => window.opened += 1;
  source.onmessage = (event) => window.seen.push(["message", event.data]);
  source.addEventListener("news", (event) => window.seen.push(["news", JSON.parse(event.data).n]));
</script>
"""


class Site:
    """A page that listens, and what a test does to its stream."""

    def __init__(self, app: Any) -> None:
        self.channel = EventChannel()
        self.may_connect = threading.Event()
        self.may_connect.set()
        self.subscriptions: list[Subscription] = []
        self.last_ids: list[str | None] = []

        @app.get("/events")
        def events() -> Any:
            last = request.headers.get("Last-Event-ID")
            self.last_ids.append(last)
            assert self.may_connect.wait(PATIENCE)
            self.subscriptions.append(self.channel.subscribe(last))
            return EventStream(self.subscriptions[-1], retry=10, heartbeat=1)

        @app.get("/")
        def page() -> str:
            return PAGE


@pytest.fixture
def site(app: Any) -> Site:
    return Site(app)


@pytest.fixture(params=["wsgi", "asgi"])
def address(app: Any, site: Site, request: pytest.FixtureRequest) -> Iterator[str]:
    """The application on Werkzeug's server, or on uvicorn."""
    if request.param == "wsgi":
        from werkzeug.serving import make_server

        server = make_server("127.0.0.1", 0, app, threaded=True)
        port, stop, run = server.server_port, server.shutdown, server.serve_forever
        finish: Callable[[], None] = server.server_close
    else:
        import socket

        uvicorn = pytest.importorskip("uvicorn")
        listener = socket.create_server(("127.0.0.1", 0))
        asgi = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
        port, finish = listener.getsockname()[1], listener.close

        def run() -> None:
            asgi.run(sockets=[listener])

        def stop() -> None:
            asgi.should_exit = True

    thread = threading.Thread(target=run)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    app._serving.close_connections()
    stop()
    thread.join()
    finish()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    service = pytest.importorskip("selenium.webdriver.chrome.service")
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs Chromium and its driver: scripts/install-browser")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path}/profile"):
        options.add_argument(flag)
    # The driver listens on loopback: no proxy of the environment leads there.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "localhost,127.0.0.1")
        patch.setenv("NO_PROXY", "localhost,127.0.0.1")
        window = webdriver.Chrome(options=options, service=service.Service(driver))
        try:
            yield window
        finally:
            window.quit()


def test_a_browser_gets_events_and_those_that_it_missed(
    browser: Any, address: str, site: Site
) -> None:
    """It connects again when the server drops it, and names the last event it saw."""
    from selenium.webdriver.support.ui import WebDriverWait

    def wait_for(script: str, value: Any) -> None:
        WebDriverWait(browser, PATIENCE).until(
            lambda window: window.execute_script(f"return {script}") == value
        )

    browser.get(address)
    wait_for("window.opened", 1)
    site.channel.publish({"n": 1}, event="news")
    site.channel.publish("two\nlines, ä")
    expected: list[Any] = [["news", 1], ["message", "two\nlines, ä"]]
    wait_for("window.seen", expected)

    site.may_connect.clear()
    last = site.channel.publish({"n": 2}, event="news")
    wait_for("window.seen.length", 3)
    site.subscriptions[-1].close()
    site.channel.publish({"n": 3}, event="news")
    site.channel.publish("missed")
    site.may_connect.set()
    wait_for("window.opened", 2)
    site.channel.publish("now")
    expected += [["news", 2], ["news", 3], ["message", "missed"], ["message", "now"]]
    wait_for("window.seen", expected)
    assert site.last_ids == [None, last.id]
