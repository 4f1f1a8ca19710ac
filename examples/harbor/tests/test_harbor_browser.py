"""The live map in a real browser: headless Chromium (EX-23)."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from harbor import auth, chat, simulator
from harbor.models import User, Vessel
from harbor_helpers import IMO, NOW, PASSWORD, SECRET
from sqlalchemy import delete
from sqlalchemy.orm import Session

from carboy import Carboy

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
HOW = (
    "apt-get install chromium chromium-driver; pip install -r examples/harbor/requirements-dev.txt"
)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--lang=en-GB",
    "--window-size=1360,939",
)
PATIENCE = 30  # seconds; a wait ends as soon as the page is ready


@pytest.fixture
def address(app: Carboy) -> Iterator[str]:
    """Harbor on the server that `carboy serve` stands on, in a thread of this process."""
    embedded = pytest.importorskip("granian.server.embed", reason="needs granian")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = embedded.Server(app, "127.0.0.1", port, interface="asgi", websockets=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve(),), daemon=True)
    thread.start()
    wait_until_open(port)
    yield f"http://127.0.0.1:{port}"
    app.extensions["harbor.services"].live.close()
    loop.call_soon_threadsafe(server.stop)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    loop.close()


def wait_until_open(port: int) -> None:
    """Returns when somebody listens there."""
    for _ in range(PATIENCE * 20):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.05)
    raise AssertionError("the server did not start")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason=f"needs selenium: {HOW}")
    service = pytest.importorskip("selenium.webdriver.chrome.service")
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip(f"needs Chromium and its driver: {HOW}")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path}/profile"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # The driver listens on loopback: no proxy of the environment leads there.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "localhost,127.0.0.1")
        patch.setenv("NO_PROXY", "localhost,127.0.0.1")
        window = webdriver.Chrome(options=options, service=service.Service(driver))
        try:
            yield window
        finally:
            window.quit()


@pytest.fixture
def fleet(app: Carboy, address: str, clock: Any) -> Callable[[int], None]:
    """The twelve vessels; a call sends a ping of each, so many seconds after NOW."""
    engine = app.extensions["harbor.database"].engine
    with Session(engine) as session:
        session.execute(delete(Vessel).where(Vessel.imo == IMO))
        session.add(User(name="dispatcher", password_hash=auth.hash_password(PASSWORD)))
        session.commit()
    assert app.test_cli_runner().invoke(args=["seed"]).exit_code == 0
    tracker = simulator.Tracker(address, SECRET)

    def sail(seconds: int) -> None:
        moment = NOW + timedelta(seconds=seconds)
        clock.moment = moment
        clock.seconds = 1000.0 + seconds
        for voyage in simulator.VOYAGES:
            assert tracker.send(voyage.imo, voyage.place_at(moment), moment)

    return sail


def test_a_dispatcher_signs_in_sees_twelve_vessels_and_sees_one_move(
    browser: Any, app: Carboy, address: str, fleet: Callable[[int], None], tmp_path: Path
):
    """EX-23: A dispatcher signs in, sees twelve vessels, sees one move, and chats."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def find(selector: str) -> list[Any]:
        found: list[Any] = browser.find_elements(By.CSS_SELECTOR, selector)
        return found

    def wait_for(what: Callable[[], Any]) -> Any:
        return WebDriverWait(browser, PATIENCE, 0.1).until(lambda _: what())

    for second in range(0, 100, 5):
        fleet(second)

    browser.get(f"{address}/fleet/map")
    assert "Please sign in to continue." in browser.page_source
    find("input[name=name]")[0].send_keys("dispatcher")
    find("input[name=password]")[0].send_keys(PASSWORD)
    find("button.primary")[0].click()

    wait_for(lambda: find("#feed.on"))
    wait_for(lambda: find("#map[data-land=drawn]"))
    assert len(find(".ship-marker")) == 12
    assert len(find("#vessels li")) == 12
    assert find("#count")[0].text == "12"
    names = {name.text for name in find("#vessels strong")}
    assert names == {voyage.name for voyage in simulator.VOYAGES}

    mover = simulator.VOYAGES[6]
    ship = find(f'.ship-marker[data-imo="{mover.imo}"]')[0]
    page = browser.execute_script("window.marked = true; return document.title")
    before = (ship.get_attribute("data-lat"), ship.rect["x"], ship.rect["y"])
    for second in range(100, 140, 4):
        fleet(second)
    wait_for(lambda: ship.get_attribute("data-lat") != before[0])
    wait_for(lambda: (ship.rect["x"], ship.rect["y"]) != before[1:])
    # The same page, not a new one.
    assert browser.execute_script("return window.marked") is True
    assert browser.title == page

    picture = Path(os.environ.get("HARBOR_SCREENSHOT") or tmp_path / "harbor-map.png")
    browser.execute_async_script("setTimeout(arguments[0], 1500)")  # ships arrive, messages leave
    wait_for(
        lambda: browser.execute_script(
            "return document.getAnimations().every(a => a.effect.getTiming().iterations === Infinity || a.playState !== 'running')"
        )
    )
    assert browser.save_screenshot(str(picture))
    assert picture.stat().st_size > 20_000

    # What she says, and what others say, stands in the chat.
    find("#chat summary")[0].click()
    wait_for(lambda: find("#chat[data-state=open]"))
    find("#chat-text")[0].send_keys("Berth 4 is free.")
    find("#chat-form button")[0].click()
    wait_for(lambda: [item.text for item in find("#chat-said .own p")] == ["Berth 4 is free."])
    with app.app_context():
        chat.say("Grace", "Taking it.\nThanks!")
    wait_for(lambda: len(find("#chat-said li")) == 2)
    assert find("#chat-said li:not(.own) p")[0].text == "Taking it.\nThanks!"
    assert browser.save_screenshot(str(picture.with_name("harbor-chat.png")))
    find("#chat summary")[0].click()
    with app.app_context():
        chat.say("Grace", "Under way.")
    wait_for(lambda: find("#chat-unread")[0].text == "1")

    # Its page draws its track and follows it.
    find(f'button[data-imo="{mover.imo}"]')[0].click()
    link = wait_for(lambda: find(".popup a"))[0]
    browser.get(link.get_attribute("href"))
    wait_for(lambda: find("#feed.on"))
    assert find("h1")[0].text == mover.name
    assert len(find(".ship-marker")) == 1
    assert find(".leaflet-overlay-pane path.leaflet-interactive, .leaflet-overlay-pane path")
    rows = find("#log tr")
    assert len(rows) == 8
    latest = find("#log td")[0].text
    fleet(140)
    wait_for(lambda: find("#log td")[0].text != latest)

    find(".bar-nav button")[0].click()
    wait_for(lambda: "You are signed out." in browser.page_source)

    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert foreign_requests(browser, address) == []


def foreign_requests(browser: Any, address: str) -> list[str]:
    """What the pages asked other hosts for; the map must work with no internet."""
    import json

    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert any(url.endswith("/leaflet.js") for url in urls)
    # The ships were moved by events: nobody had to ask for positions.
    assert any(url.endswith("/fleet/positions.events") for url in urls)
    assert not any(url.endswith("/fleet/positions.json") for url in urls)
    return [url for url in urls if not url.startswith((address, "data:", "chrome:", "about:"))]
