"""The command line under good and bad input: exit codes, sentences, and one JSON document."""

import gzip
import json
import os
import pickle
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

import murmeli
from recommender.bundle import LogRange
from recommender.model import model_arrays
from recommender.registry import MAIN, Registry
from recommender.settings import FILE, Settings, load_settings
from tests.contracts.models import bank, manifest_of
from training import terminal
from training.demo import MARK

ROOT = Path(__file__).parents[2]
LOG = "customer,item,at,kind\n" + "".join(
    f"crm:{n % 5},{('balance', 'pay-bill', 'news')[n % 3]},2026-01-{1 + n % 28:02}T10:00:00Z,"
    f"{('feature', 'feature', 'content')[n % 3]}\n"
    for n in range(60)
)


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - any JSON document
        """Standard output, all of it, as the one JSON document that it is."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the command line within this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MURMELI_HOME", raising=False)
    monkeypatch.delenv("MURMELI_DATABASE", raising=False)

    def ran(*words: str | Path) -> Ran:
        monkeypatch.setattr(sys, "argv", ["murmeli", *map(str, words)])
        code: int | str | None = 0
        try:
            murmeli.main()
        except SystemExit as stopped:
            code = stopped.code
        assert isinstance(code, int)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return ran


@pytest.fixture
def shop(run: Run, tmp_path: Path) -> Path:
    """A home with a small log and two models, the first of them the champion."""
    (tmp_path / "log.csv").write_text(LOG)
    assert run("import", "events", "log.csv", "--home", "shop").code == 0
    assert [run("train", "--home", "shop").code for _ in range(2)] == [0, 0]
    return tmp_path / "shop"


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command that does something, by its words."""
    children: dict[str, object] = getattr(group, "commands", {})
    for name, child in children.items():
        yield from commands(child, (*path, name))
    if not children:
        yield path


ALL = list(commands(typer.main.get_command(murmeli.app)))
ONE_DOCUMENT = [
    "import events log.csv",
    "import items items.csv --kind content",
    "train",
    "evaluate",
    "tune --trials 1",
    "benchmark next-use --events log.csv --stability --k 3",
    "benchmark top-n --train train.txt --test test.txt",
    "benchmark unseen --log visits.csv",
    "benchmark new-items --events log.csv --days 10 --share 0.4",
    "models list",
    "models show champion",
    "models diff 1 2 --customers 3",
    "models promote 2",
    "models rollback",
    "recommend crm:1",
    "explain crm:1 balance",
    "link web:1 crm:1",
    "unlink web:1",
    "customers consent crm:1 --no-personalise --marketing",
    "customers export crm:1",
    "customers erase crm:1",
    "customers lift crm:1",
    "doctor",
    "keys create --role frontend",
    "keys list",
    "keys revoke PREFIX",
    "init --home other",
]
MENU = ["recommend", "--placement", "home.features", "--k", "30", "--channel", "mobile"]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_helps_with_an_example(run: Run, words: tuple[str, ...]) -> None:
    helped = run(*words, "--help")
    assert helped.code == 0
    assert f"Example: murmeli {' '.join(words)}" in " ".join(helped.out.split())


def test_every_command_prints_one_json_document(run: Run, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("id,title\nnews,The news\n")
    (tmp_path / "train.txt").write_text("".join(f"{user} {user % 4} {(user + 1) % 4}\n" for user in range(40)))
    (tmp_path / "test.txt").write_text("".join(f"{user} {(user + 2) % 4}\n" for user in range(40)))
    visits = [
        f"{user},{(user + step) % 4},{'train' if user % 4 else 'test'}" for user in range(40) for step in (0, 1, 2)
    ]
    (tmp_path / "visits.csv").write_text("\n".join(["customer,item,part", *visits]))
    covered, prefix = set(), ""
    for line in ONE_DOCUMENT:
        words = line.replace("PREFIX", prefix).split()
        ran = run(*words, *([] if "benchmark" in words or "--home" in words else ["--home", shop]), "--json")
        assert ran.code == 0, (line, ran)
        assert isinstance(ran.document, dict), line
        prefix = ran.document.get("prefix", prefix)
        covered |= {name for name in ALL if tuple(words[: len(name)]) == name}
    assert set(ALL) - covered == {("serve",), ("demo",), ("move",)}


def test_a_command_that_is_not_there_and_one_without_its_argument_are_wrong_usage(run: Run) -> None:
    assert [run("fly").code, run("recommend").code, run("import", "events").code] == [2, 2, 2]


# Bad input, as the acceptance of the first version states it.


def test_an_unknown_column_in_map_names_what_the_file_has(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG)
    ran = run("import", "events", "log.csv", "--map", "customer=user")
    assert ran.code == 2
    assert all(name in ran.err for name in ("`user`", "`customer`", "`item`", "`at`", "--map"))
    assert run("import", "events", "log.csv", "--map", "customer").code == 2
    assert "absent.csv" in run("import", "events", "absent.csv").err


class Trap:
    """A pickle that would leave a mark where it is executed."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_what_does_not_belong_into_the_models_folder_is_named_and_never_executed(
    run: Run, shop: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "executed"
    trap = pickle.dumps(Trap(mark))
    for path in ("evil.pkl", "main/model.pickle", "main/7/feature.items.codes.npy", "main/.new-1-a/x.npy"):
        (shop / "models" / path).parent.mkdir(exist_ok=True)
        (shop / "models" / path).write_bytes(trap)
    doctor, listed = run("doctor", "--home", shop), run("models", "list", "--home", shop, "--json")
    assert (doctor.code, listed.code) == (1, 0)
    wrong = "\n".join(listed.document["wrong"])
    for name in ("models/evil.pkl", "models/main/model.pickle", "main/7", ".new-1-a"):
        assert name in doctor.out
        assert name in wrong
    trained = run("train", "--home", shop, "--json")
    assert (trained.code, trained.document["version"]) == (0, 8)
    assert run("recommend", "crm:1", "--home", shop, "--json").document["model"] == "main/1"
    assert not mark.exists()


def test_instead_of_a_damaged_champion_the_one_before_answers_and_it_is_said(run: Run, shop: Path) -> None:
    assert run("models", "promote", "2", "--home", shop).code == 0
    damaged = shop / "models/main/2/manifest.json"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    answer = run("recommend", "crm:1", "--home", shop, "--json")
    assert (answer.code, answer.document["model"], answer.document["degraded"]) == (0, "main/1", ["champion"])
    assert "main/2 is refused" in answer.err
    assert run("explain", "crm:1", "balance", "--home", shop).code == 0
    doctor = run("doctor", "--home", shop)
    assert (doctor.code, doctor.out.count("main/2 is refused")) == (1, 1)
    promoted = run("models", "promote", "2", "--home", shop)
    assert (promoted.code, "main/2 is refused" in promoted.err) == (1, True)
    (shop / "models/main/aliases.json").write_text("{")
    assert "aliases.json is damaged" in run("models", "list", "--home", shop).out
    assert run("recommend", "crm:1", "--home", shop, "--json").document["model"] == "untrained"


def test_the_gate_refuses_with_its_reasons_and_who_forces_it_is_told_of(run: Run, shop: Path) -> None:
    model = bank()
    Registry(shop / "models").publish(MAIN, model_arrays(model), manifest_of(model, behind=-0.1))
    refused = run("models", "promote", "3", "--home", shop)
    assert (refused.code, refused.out) == (3, "")
    assert "murmeli: The gate refuses main/3" in refused.err
    assert "\n- feature: worse than most-used: mrr 0.5000 against 0.6000" in refused.err
    listed = run("models", "promote", "3", "--home", shop, "--json")
    assert (listed.code, len(listed.document["refused"])) == (3, refused.err.count("\n- "))
    assert run("models", "promote", "3", "--force", " ", "--home", shop).code == 2
    assert "forced" not in run("models", "list", "--home", shop).out
    assert run("models", "promote", "3", "--force", "Cards are broken.", "--home", shop).code == 0
    shown = run("models", "show", "3", "--home", shop)
    assert "(cli): Cards are broken." in shown.out
    assert "Cards are broken." in run("models", "list", "--home", shop, "--json").document["models"][2]["forced"]
    assert run("models", "rollback", "--home", shop, "--json").document == {"champion": 1}
    assert run("doctor", "--home", shop).code == 0


def test_training_that_was_to_promote_and_may_not_is_refused_and_published(run: Run, shop: Path) -> None:
    registry, model = Registry(shop / "models"), bank()
    later = LogRange(first=0, last=2 * 10**12, events=60, customers=5)
    number = registry.publish(MAIN, model_arrays(model), manifest_of(model).model_copy(update={"log": later}))
    registry.promote(MAIN, number)
    trained = run("train", "--promote", "--home", shop)
    assert (trained.code, "Its log ends at 2026-01-28" in trained.out.replace("\n", " ")) == (3, True)
    assert (registry.aliases().champion, registry.aliases().challenger) == (number, number + 1)
    again = run("train", "--home", shop, "--json")
    assert (again.code, again.document["refused"]) == (0, [])


def test_a_port_in_use_is_said_with_the_remedy(run: Run, shop: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        served = run("serve", "--port", str(port), "--home", shop)
        assert (served.code, "in use" in served.err, "--port" in served.err) == (1, True, True)
        demo = run("demo", "--port", str(port))  # before a minute's work, not after it
        assert (demo.code, "in use" in demo.err) == (1, True)


@pytest.mark.parametrize(
    "line",
    [
        "init",
        "import events log.csv",
        "train",
        "recommend crm:1",
        "doctor",
        "serve --port 0",
        "link web:1 crm:1",
        "demo --no-serve",
    ],
)
def test_a_home_that_cannot_be_written_is_a_sentence_with_the_remedy(run: Run, tmp_path: Path, line: str) -> None:
    (tmp_path / "log.csv").write_text(LOG)
    ran = run(*line.split(), "--home", tmp_path / "log.csv" / "home")  # rights do not stop root, a file does
    assert ran.code == 1
    assert ran.err.startswith("murmeli: ")
    assert re.search(r"--home|another home|Choose a folder", ran.err)
    assert "Traceback" not in ran.err


def test_models_that_cannot_be_written_are_a_sentence(run: Run, shop: Path) -> None:
    (shop / "models" / "main" / "aliases.json").unlink()
    (shop / "models" / "main" / ".lock").unlink()
    (shop / "models" / "main" / ".lock").mkdir()
    ran = run("train", "--home", shop)
    assert (ran.code, "models folder cannot be written" in ran.err) == (1, True)


def test_bad_rows_are_rejected_one_by_one_and_the_rest_is_imported(run: Run, tmp_path: Path) -> None:
    good = "crm:1,balance,2026-01-01T10:00:00Z,1"
    bad = [
        f"crm:1,{'x' * 300},2026-01-01T10:00:00Z,1",
        "crm:1,balance,2026-01-01T10:00:00Z,NaN",
        "crm:1,balance,2026-01-01T10:00:00Z,1e999",
        "crm:1,bal\0ance,2026-01-01T10:00:00Z,1",
        "crm:1,b\udcffd,2026-01-01T10:00:00Z,1",
        ",balance,2026-01-01T10:00:00Z,1",
        "crm:1,balance,yesterday,1",
    ]
    text = "\n".join(["customer,item,at,value", good, *bad, good.replace("balance", "pay-bill")])
    (tmp_path / "log.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    ran = run("import", "events", "log.csv", "--json")
    assert ran.code == 0
    assert (ran.document["accepted"], ran.document["rejected"], ran.document["rows"]) == (2, 7, 9)
    rejects = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert sorted(reject["line"] for reject in rejects) == list(range(3, 10))
    assert all(reject["reason"] for reject in rejects)
    again = run("import", "events", "log.csv", "--strict", "--json")
    assert (again.code, again.document["duplicate"]) == (1, 2)


@pytest.mark.parametrize("rows", [0, 1, 5], ids=["an empty log", "one event", "one customer"])
def test_every_command_has_a_sensible_answer_to_hardly_anything(run: Run, tmp_path: Path, rows: int) -> None:
    lines = [f"crm:1,{'balance' if n % 2 else 'pay-bill'},2026-01-0{n + 1}T10:00:00Z" for n in range(rows)]
    (tmp_path / "log.csv").write_text("\n".join(["customer,item,at", *lines]))
    assert run("import", "events", "log.csv", "--json").document["accepted"] == rows
    trained = run("train", "--json")
    assert (trained.code, trained.document["version"]) == (0, 1 if rows else None)
    assert trained.document["notes"]
    for line in ("train", "evaluate", "models list", "recommend crm:1", "explain crm:1 balance", "doctor"):
        ran = run(*line.split())
        assert (ran.code, ran.err) == (0, ""), line
        assert ran.out.strip(), line
    shown = run("recommend", "crm:1", "--json").document
    assert len(shown["slots"][0]["items"]) == min(rows, 2)
    assert shown["degraded"] == ([] if rows else ["model"])
    benchmark = run("benchmark", "next-use", "--events", "log.csv", "--stability", "--json")
    assert benchmark.code == (0 if rows else 2)
    assert benchmark.out if rows else "holds no row" in benchmark.err


def test_a_home_that_is_not_there_is_read_as_empty_and_not_made(run: Run, tmp_path: Path) -> None:
    for line in ("train", "evaluate", "models list", "recommend crm:1", "explain crm:1 balance", "doctor"):
        ran = run(*line.split(), "--home", "typo")
        assert (ran.code, "Traceback" in ran.err) == (0, False), line
    assert "has no store yet" in run("recommend", "crm:1", "--home", "typo").err
    for line in ("models show champion", "models promote 1", "models rollback"):
        ran = run(*line.split(), "--home", "typo")
        assert ran.code in (1, 2)
        assert "murmeli " in ran.err
    assert os.listdir(tmp_path) == []


# What is asked about somebody or something that is not there, and asked twice.


def test_whoever_is_unknown_gets_a_page_and_whatever_is_unknown_a_reason(run: Run, shop: Path) -> None:
    page = run("recommend", "web:nobody", "--home", shop, "--json").document
    assert [len(slot["items"]) for slot in page["slots"]] == [2, 1]
    assert run("explain", "crm:1", "rocket", "--home", shop, "--json").document["hidden"] == "it is not known"
    other = run("explain", "crm:1", "news", "--home", shop)
    assert (other.code, "of kind content" in other.out) == (0, True)
    for line in ("recommend crm:1 --placement nowhere", "explain crm:1 news --placement nowhere"):
        ran = run(*line.split(), "--home", shop)
        assert (ran.code, "home.features" in ran.err) == (1, True)
    assert run("recommend", "", "--home", shop).code == 2
    assert run("recommend", "crm:1", "--at", "soon", "--home", shop).code == 2
    assert run("recommend", "crm:1", "--k", "0", "--home", shop).code == 2


def test_what_looks_like_markup_is_printed_as_it_is(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("customer,item,at\n[red]x,[/]:smile:,2026-01-01\n")
    assert run("import", "events", "log.csv").code == 0
    assert "[/]:smile:" in run("recommend", "[red]x").out
    assert "[red]column" in run("import", "events", "log.csv", "--map", "item=[red]column").err


def test_linking_and_unlinking_say_who_is_who_now(run: Run, shop: Path) -> None:
    linked = run("link", "web:7", "crm:1", "--home", shop, "--json").document
    assert linked == {"identities": ["crm:1", "web:7"]}
    assert run("link", "web:7", "crm:1", "--home", shop, "--json").document == linked
    refused = run("link", "crm:1", "crm:2", "--home", shop)
    assert (refused.code, "Unlink" in refused.err) == (1, True)
    assert run("unlink", "web:7", "--home", shop, "--json").document == {"identities": ["web:7"]}
    assert run("unlink", "web:unheard", "--home", shop).code == 0


def test_a_person_says_no_sees_all_and_ends_it_without_a_server(run: Run, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "late.csv").write_text(
        "customer,item,at\ncrm:1,news,soon\ncrm:1,news,2026-02-01\ncrm:2,news,2026-02-01\n"
    )
    run("link", "web:7", "crm:1", "--home", shop)
    said = run("customers", "consent", "web:7", "--no-personalise", "--home", shop, "--json").document
    assert said == run("customers", "consent", "crm:1", "--home", shop, "--json").document
    assert said["consent"] == {"personalise": False, "marketing": False}
    assert {one["by"] for one in said["history"]} == {"cli"}
    assert run("customers", "consent", "crm:2", "--home", shop, "--json").document["history"] == []
    lines = [json.loads(line) for line in run("customers", "export", "crm:1", "--home", shop).out.splitlines()]
    assert lines == run("customers", "export", "crm:1", "--home", shop, "--json").document["records"]
    assert lines[-1] == {"record": "end", "records": len(lines) - 1}
    erased = run("customers", "erase", "web:7", "--home", shop, "--json").document
    assert (erased["identities"], erased["events"], erased["statements"]) == (2, 12, 2)
    again = run("import", "events", "late.csv", "--home", shop, "--json").document
    assert (again["accepted"], again["reasons"]) == (1, {"bad_time": 1, "erased": 1})
    assert "crm:1" not in (shop / "rejects.jsonl").read_text()
    assert run("customers", "export", "crm:1", "--home", shop, "--json").document["records"] == [
        {"record": "end", "records": 0}
    ]
    assert run("link", "web:7", "crm:2", "--home", shop).code == 1
    assert run("customers", "lift", "web:7", "--home", shop).code == 0
    assert run("customers", "lift", "web:7", "--home", shop).code == 2
    assert run("link", "web:7", "crm:2", "--home", shop).code == 0


def test_init_writes_the_defaults_once_and_keeps_what_is_there(run: Run, tmp_path: Path) -> None:
    assert run("init", "--home", "shop").code == 0
    assert load_settings(tmp_path / "shop") == Settings()
    (tmp_path / "shop" / FILE).write_text("zone = 'Europe/Helsinki'")
    again = run("init", "--home", "shop")
    assert (again.code, "is there already" in again.err) == (2, True)
    assert load_settings(tmp_path / "shop").zone == "Europe/Helsinki"


def test_a_wrong_setting_stops_every_command_with_its_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("colour = 1")
    for line in ("train", "recommend crm:1", "doctor", "serve --port 0"):
        ran = run(*line.split())
        assert (ran.code, "colour" in ran.err) == (2, True), line


def test_a_demo_takes_the_place_of_an_earlier_one_and_of_nothing_else(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert run("demo", "--no-serve", "--home", "mine").code == 2
    assert (tmp_path / "mine" / "thesis.txt").exists()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / MARK).write_text("{}")
    ran = run("demo", "--no-serve", "--home", "old", "--customers", "60", "--json")
    assert ran.code == 0
    assert set(ran.document) == {"imported", "links", "trained", "pages", "move", "key"}
    pages = ran.document["pages"]
    first, second = ([item["item"] for item in page["slots"][0]["items"][:3]] for page in pages.values())
    assert first != second
    who, move = next(iter(pages)), ran.document["move"]
    before: list[str] = []
    after: list[str] = []
    for menu in (before, after):
        menu += [i["item"] for i in run(*MENU, who, "--home", "old", "--json").document["slots"][0]["items"]]
        (tmp_path / "use.csv").write_text(f"customer,item,at,channel\n{who},{move['use']},{int(time.time())},mobile\n")
        assert run("import", "events", "use.csv", "--home", "old").code == 0
    assert after.index(move["lifts"]) < [*before, move["lifts"]].index(move["lifts"])


def test_a_fault_of_ours_is_a_short_traceback_and_exit_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Path) -> Settings:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(terminal, "load_settings", broken)
    ran = run("train")
    assert (ran.code, ran.out) == (1, "")
    assert "ZeroDivisionError: a fault" in ran.err
    assert len(ran.err.splitlines()) < 15


def test_an_evaluation_leaves_a_report_in_the_home_or_where_it_is_told_to(run: Run, shop: Path, tmp_path: Path) -> None:
    assert str(shop / "report.html") in run("evaluate", "--home", shop).out.replace("\n", "")
    ran = run("evaluate", "--home", shop, "--report", "may.html", "--no-curve", "--json")
    assert (ran.document["report"], "curves" in ran.document) == ("may.html", False)
    for report in (shop / "report.html", tmp_path / "may.html"):
        assert "How well does Murmeli rank?" in report.read_text(encoding="utf-8")
    refused = run("evaluate", "--home", shop, "--report", "nowhere/may.html", "--no-curve")
    assert (refused.code, "Choose another --report" in refused.err) == (1, True)


def test_a_judgement_fits_eighty_columns(run: Run, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.out, "width", 80)
    for line in (("train",), ("models", "show", "champion")):
        ran = run(*line, "--home", shop)
        rows = [text for text in ran.out.splitlines() if text.startswith((" murmeli ", " most-used "))]
        assert len(rows) == 4
        assert all(len(text) <= 80 for text in rows)
        assert "…" not in ran.out


def test_nothing_is_folded_in_a_pipe(tmp_path: Path) -> None:
    named = tmp_path / "a-file-with-a-name-that-does-not-fit-into-a-line-of-a-terminal-of-eighty-columns.csv"
    named.write_text(LOG)
    there = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    line = (sys.executable, "-m", "murmeli", "import", "events", named.name, "--home", "shop")
    ran = subprocess.run(  # noqa: S603 - our own words
        line, cwd=tmp_path, env=there, stdout=subprocess.PIPE, text=True, check=True
    )
    assert named.name in ran.stdout


def test_a_table_of_measures_fits_a_terminal(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("".join(f"{user} {user % 4} {(user + 1) % 4}\n" for user in range(40)))
    ran = run("benchmark", "top-n", "--train", "pairs.txt", "--test", "pairs.txt")
    (header,) = [line for line in ran.out.splitlines() if "name" in line]
    assert all(name in header for name in ("recall@20", "95 %", "ndcg@20", "coverage", "n"))


def test_pages_of_the_next_days_are_judged_on_a_log_and_pairs_on_two_files(run: Run, tmp_path: Path) -> None:
    lines = [f"c{n % 9},i{n % 7},{1_760_000_000 + n * 40_000}" for n in range(120)]
    (tmp_path / "log.csv").write_text("customer,item,at\n" + "\n".join(lines))
    ran = run("benchmark", "top-n", "--events", "log.csv", "--days", "7")
    assert (ran.code, "behind, 95 %" in ran.out) == (0, True)
    for options in (["--train", "a.txt"], ["--events", "log.csv", "--test", "a.txt"], []):
        ran = run("benchmark", "top-n", *options)
        assert (ran.code, "--events FILE" in ran.err) == (2, True)


# The documentation.


def test_the_readmes_commands_bring_a_log_of_ones_own(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Bring your own log")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("murmeli ")]
    rows = LOG.replace("customer,item,at,kind", "user_id,product,ts,kind")
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(rows.encode()))
    served: list[object] = []
    monkeypatch.setattr("serving.bootstrap.serve", lambda home, **_: served.append(home))
    for line in lines:
        ran = run(*shlex.split(line, comments=True)[1:])
        assert (ran.code, ran.err) == (0, ""), line
    assert [line.split()[1] for line in lines] == ["init", "import", "train", "evaluate", "recommend", "serve"]
    assert served == [Path("shop")]
    assert Path("shop/report.html").is_file()


def test_every_setting_is_in_the_operators_page() -> None:
    page = ROOT / "docs" / "operations.md"
    text = page.read_text(encoding="utf-8")
    default = Settings()
    tables = {"": default, "consent.": default.consent, "training.": default.training, "serving.": default.serving}
    named = {f"{prefix}{name}" for prefix, table in tables.items() for name in type(table).model_fields}
    named |= set(type(default.placements["home.features"]).model_fields)
    named -= {"placements", "consent", "training", "serving"}  # tables, not settings
    missing = [name for name in sorted(named) if f"`{name}`" not in text and f"`{name.split('.')[-1]}`" not in text]
    assert missing == []
