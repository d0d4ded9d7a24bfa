"""The files of GitHub, of containers and of pre-commit, checked without running them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import run_all

from op_builder import envs

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
YAML = sorted([*ROOT.glob("*.y*ml"), *ROOT.glob(".*.yaml"), *GITHUB.rglob("*.y*ml")])
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
SCHEMAS = {
    "vendor.github-workflows": WORKFLOWS,
    "vendor.dependabot": [GITHUB / "dependabot.yml"],
    "vendor.github-issue-forms": [form for form in FORMS if form.name != "config.yml"],
    "vendor.github-issue-config": [GITHUB / "ISSUE_TEMPLATE" / "config.yml"],
}
_PINNED = re.compile(r"uses: [\w-]+/[\w/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$")


def named(file: Path) -> str:
    return file.name


def load(file: Path) -> Any:
    class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        """Accept the tag with which mkdocs.yml names a function."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)
    return yaml.load(file.read_text(encoding="utf-8"), Loader)


def run_tool(*command: str | Path) -> None:
    """Run a tool of the environment; skip the test if it is not installed."""
    tool = shutil.which(command[0], path=str(Path(sys.executable).parent)) or shutil.which(
        command[0]
    )
    if tool is None:
        pytest.skip(f"needs {command[0]}")
    done = subprocess.run(
        [tool, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", YAML, ids=named)
def test_every_file_parses(file: Path) -> None:
    assert load(file)


@pytest.mark.parametrize("file", WORKFLOWS, ids=named)
def test_every_action_is_pinned_by_its_digest(file: Path) -> None:
    lines = [line.strip(" -") for line in file.read_text(encoding="utf-8").splitlines()]
    uses = [line for line in lines if line.startswith("uses:")]
    assert uses
    assert [line for line in uses if not _PINNED.fullmatch(line)] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=named)
def test_every_job_has_the_permissions_that_it_needs_and_a_time_limit(file: Path) -> None:
    workflow = load(file)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["permissions"] == {"contents": "read"}, name
        assert job["timeout-minutes"] <= 180, name
        for step in job["steps"]:
            if str(step.get("uses", "")).startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, name


def test_nothing_of_a_pull_request_runs_on_our_own_runner() -> None:
    for file in WORKFLOWS:
        workflow = load(file)
        own = ["self-hosted" in job["runs-on"] for job in workflow["jobs"].values()]
        if any(own):
            assert set(workflow[True]) == {"push", "workflow_dispatch"}, file  # YAML's "on"


def test_paths_and_targets_in_commands_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for file in WORKFLOWS:
        for job in load(file)["jobs"].values():
            for command in (str(step.get("run", "")) for step in job["steps"]):
                for target in re.findall(r"\bmake ([a-z-]+)", command):
                    assert target in targets, command
                for path in re.findall(r"\b(?:tests|docker)/[\w./-]+", command):
                    assert (ROOT / path).exists(), path


def test_the_matrix_is_that_of_nox_and_of_the_package() -> None:
    matrix = load(GITHUB / "workflows" / "matrix.yml")["jobs"]["smoke"]["strategy"]["matrix"]
    nox = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    package = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert str(tuple(matrix["python"])).replace("'", '"') in nox
    assert str(tuple(matrix["torch"])).replace("'", '"') in nox
    assert re.findall(r"Python :: (3\.\d+)", package) == matrix["python"]
    assert f'"torch>={matrix["torch"][0].removesuffix(".0")}"' in package


def test_the_tests_of_the_npu_ops_run_on_each_soc() -> None:
    jobs = load(GITHUB / "workflows" / "tests.yml")["jobs"]
    others = jobs["socs"]
    assert [run_all.SOCS[0], *others["strategy"]["matrix"]["soc"]] == list(run_all.SOCS)
    assert run_all.SOCS[0] == envs.EMULATOR_SOC.default
    assert others["env"] == {"ASCEND_EMULATOR_SOC": "${{ matrix.soc }}"}
    assert others["steps"][-1]["run"].endswith(" ".join(run_all.ON_EACH_SOC))
    assert jobs["emulated-npu"]["steps"][-1]["run"].endswith(" ".join(run_all.EMULATED))


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_match_their_schema(schema: str) -> None:
    assert SCHEMAS[schema]
    run_tool("check-jsonschema", "--builtin-schema", schema, *map(str, SCHEMAS[schema]))


def test_zizmor_finds_nothing() -> None:
    run_tool("zizmor", "--offline", "--no-progress", "--quiet", str(GITHUB))


def test_actionlint_finds_nothing() -> None:
    run_tool("actionlint", *map(str, WORKFLOWS))


def test_hadolint_finds_nothing() -> None:
    assert len(DOCKERFILES) == 2
    run_tool("hadolint", *map(str, DOCKERFILES))


def test_hooks_check_with_the_tools_of_the_project() -> None:
    hooks = load(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]
    lint = (ROOT / "tests" / "run_all.py").read_text(encoding="utf-8")
    for hook in hooks:
        assert f'"{hook["entry"].split()[0]}"' in lint, hook
