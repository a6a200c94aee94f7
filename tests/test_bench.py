"""What scripts/bench makes of its measurements, and of its command line; nothing is measured."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.cases import CASES
from bench.load import Contender, Load, end_of_answer, get, is_whole
from bench.open_loop import Latency
from bench.options import CASES as NAMES
from bench.options import QUICK, names, parse
from bench.plot import draw, write_plot
from bench.population import Population, user_id, username
from bench.processes import Failed
from bench.report import Goal, Outcome, Series, Slice, Spread, goals_markdown, ratio, write_json

ROOT = Path(__file__).parent.parent


def slice_of(rate: float, *, cpu_us: float = 100.0) -> Slice:
    requests = round(rate * 2)
    return Slice(
        requests=requests,
        seconds=2.0,
        cpu_seconds=requests * cpu_us / 1e6,
        p50_ms=1.0,
        p99_ms=2.0,
    )


def series(name: str, *rates: float, cpu_us: float = 100.0) -> Series:
    return Series(name, [slice_of(rate, cpu_us=cpu_us) for rate in rates])


def test_a_spread_is_the_median_between_the_least_and_the_greatest() -> None:
    assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)
    assert Spread.of([1.0, 2.0]) == Spread(1.5, 1.0, 2.0)
    assert Spread(1234.5, 1.0, 9999.0).shown() == "1,234 (1..9,999)"
    assert Spread(1.0, 0.5, 2.0).shown(2) == "1.00 (0.50..2.00)"


def test_a_ratio_is_taken_within_each_round() -> None:
    # The machine was twice as slow in the second round, and the ratio is the same.
    assert ratio([80.0, 40.0, 90.0], [10.0, 5.0, 10.0]) == Spread(8.0, 8.0, 9.0)
    assert series("a", 80, 40, 90).to(series("b", 10, 5, 10)).median == 8.0


def test_a_ratio_of_unlike_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


def test_a_slice_knows_its_rate_and_what_a_request_cost() -> None:
    one = slice_of(500, cpu_us=40)
    assert one.rate == 500
    assert one.cpu_us == pytest.approx(40)
    assert series("a", 100, 300, 200).rate.median == 200


def test_an_outcome_compares_every_server_with_its_base() -> None:
    outcome = Outcome("A case")
    outcome.add([series("slow", 100, 50), series("quick", 800, 500, cpu_us=20)], base="slow")
    text = outcome.markdown()
    assert "| slow | 75 (50..100) | 1.00 (1.00..1.00) | 100.0 | x 1.00 | 2.00 |" in text
    assert "| quick | 650 (500..800) | 9.00 (8.00..10.00) | 20.0 | x 5.00 | 2.00 |" in text


def test_a_case_that_could_not_be_measured_says_so() -> None:
    assert "**Failed**: no nginx" in Outcome("A case", failure="no nginx").markdown()


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal("", 8.0, 8.0), True),
        (Goal("", 7.9, 8.0), False),
        (Goal("", 3.0, 3.0, at_most=True), True),
        (Goal("", 3.1, 3.0, at_most=True), False),
    ],
)
def test_a_goal_is_met_or_not(goal: Goal, met: bool) -> None:
    assert goal.is_met is met
    assert ("| yes |" if met else "| **no** |") in goals_markdown([Outcome("", goals=[goal])])


def test_the_json_holds_every_slice(tmp_path: Path) -> None:
    outcome = Outcome("A case", goals=[Goal("g", 1.0, 2.0)])
    outcome.add([series("one", 100, 50)], base="one")
    write_json(tmp_path / "run.json", {"date": "today"}, {"check": outcome})
    written = json.loads((tmp_path / "run.json").read_text())
    assert written["machine"] == {"date": "today"}
    assert [one["requests"] for one in written["cases"]["check"]["series"]["one"]] == [200, 100]
    assert written["cases"]["check"]["goals"] == [
        {"name": "g", "measured": 1.0, "wanted": 2.0, "at_most": False, "met": False}
    ]


def test_the_picture_has_a_bar_for_every_server_the_quickest_first(tmp_path: Path) -> None:
    outcome = Outcome("Checks & more")
    outcome.add([series("hello", 10), series("tornado_auth", 100)], base="hello")
    write_plot(tmp_path / "plot.svg", outcome)
    picture = ElementTree.parse(tmp_path / "plot.svg").getroot()
    bars = picture.findall("{*}rect")
    assert [bar.get("class") for bar in bars] == ["bar ours", "bar"]
    assert float(bars[0].get("width", 0)) == pytest.approx(10 * float(bars[1].get("width", 0)), 0.1)
    assert "prefers-color-scheme: dark" in draw("", [series("a", 1)])


def test_latency_is_read_off_the_sorted_times() -> None:
    latency = Latency.of([number / 1000 for number in range(1000, 0, -1)])
    assert latency == Latency(1000, 501.0, 991.0, 1000.0)


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (b"", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\nhi", True),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", True),
    ],
)
def test_an_answer_is_whole_when_its_body_is_there(answer: bytes, whole: bool) -> None:
    assert is_whole(answer) is whole
    assert end_of_answer(answer) == 0 or end_of_answer(answer) <= len(answer) + 1


def asked(mode: str = "again", *, varies: int = 0) -> Contender:
    load = Load(template=get("/"), tokens=Path("-"), count=1, mode=mode, varies=varies)
    return Contender(name="x", address="", processes=[], load=load, answer=b"1234567890")


def counted(**changed: int) -> dict[str, int]:
    right = {"requests": 100, "microseconds": 1_000_000, "bytes": 1000, "refused": 0, "broken": 0}
    return {**right, "repeated": 0, "p50_us": 1, "p99_us": 1, **changed}


def test_a_slice_counts_only_if_every_answer_was_right() -> None:
    assert asked().judged(counted(), 0.5).cpu_us == 5000
    assert asked().judged(counted(bytes=1009), 0.5).requests == 100
    assert asked(varies=2).judged(counted(bytes=900), 0.5).requests == 100
    for wrong in ({"refused": 1}, {"broken": 1}, {"bytes": 999}, {"bytes": 1010}, {"requests": 0}):
        with pytest.raises(Failed, match="not every answer is right"):
            asked().judged(counted(**wrong), 0.5)


def test_a_token_that_was_sent_twice_is_no_first_sight() -> None:
    with pytest.raises(Failed, match="too few tokens"):
        asked("once").judged(counted(repeated=1), 0.5)


def test_the_command_line_chooses_the_cases() -> None:
    assert names(parse([])) == NAMES
    assert names(parse(["--quick"])) == QUICK
    assert names(parse(["--only", "nginx,check"])) == ("nginx", "check")
    assert names(parse(["--memory"])) == names(parse(["--soak", "600"])) == ()
    assert names(parse(["--soak", "600", "--only", "check"])) == ("check",)
    assert parse(["--rounds", "3"]).rounds == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--only", "nothing"],
        ["--rounds", "0"],
        ["--soak", "long"],
        ["--fast"],
        ["--plot", "x", "--memory"],
    ],
)
def test_a_mistake_in_the_command_line_ends_it(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_every_case_that_can_be_asked_for_exists() -> None:
    assert tuple(CASES) == NAMES
    assert set(QUICK) < set(NAMES)


def test_the_script_explains_itself_with_nothing_installed() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "bench", "--help"],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert "--only CASE,..." in done.stdout
    assert "--soak SECONDS" in done.stdout


def test_sessions_are_drawn_from_all_users() -> None:
    population = Population(users=1000, sessions=5000, private_pem="")
    assert {population.owner(number) for number in range(1000)} == set(range(1000))
    assert population.session(3).user_id == population.user(population.owner(3)).id


def test_ids_and_names_are_of_one_length() -> None:
    assert {len(user_id(number)) for number in (0, 999_999)} == {22}
    assert {len(username(number)) for number in (0, 999_999)} == {12}


def test_a_population_is_what_the_service_itself_would_store(tmp_path: Path) -> None:
    population = Population.of(10, 30)
    url = population.fill_sqlite(tmp_path / "auth.db")

    async def compare() -> None:
        storage = population.service(url).storage
        await storage.open()
        try:
            for number in (0, 1, 29):
                session = population.session(number)
                assert await storage.sessions.get(session.id) == session
                user = await storage.users.get(session.user_id)
                assert user == population.user(population.owner(number))
            assert len(await storage.sessions.find(limit=100)) == 30
        finally:
            await storage.close()

    asyncio.run(compare())
