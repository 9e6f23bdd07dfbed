"""The questions in a real terminal."""

import os
import sys
import time

import pexpect
import pyte
import pytest
import yaml
from answers import DEFAULTS

ENTER, DOWN = "\r", "\x1b[B"


class Wizard:
    """A person at a terminal, who reads what stands on the screen."""

    def __init__(self, *command: str, cwd):
        # prompt_toolkit asks the terminal where the cursor is, and pexpect has no answer.
        environment = os.environ | {"PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        program, *arguments = map(str, command)
        self.process = pexpect.spawn(
            program, arguments, cwd=cwd, env=environment, encoding="utf-8", dimensions=(200, 200)
        )
        self.process.delaybeforesend = None
        self.screen = pyte.Screen(200, 200)
        self.terminal = pyte.Stream(self.screen)

    @property
    def lines(self) -> list[str]:
        """What stands on the screen."""
        return [line.rstrip() for line in self.screen.display]

    def see(self, text: str, seconds: float = 20) -> None:
        """Wait until the screen shows a text, however it is broken into lines."""
        end = time.monotonic() + seconds
        while " ".join(text.split()) not in " ".join(" ".join(self.lines).split()):
            assert time.monotonic() < end, f"{text!r} is not on the screen:\n" + "\n".join(
                filter(None, self.lines)
            )
            self.read()

    def read(self) -> bool:
        """Put on the screen what the program has written; False once it has ended."""
        try:
            self.terminal.feed(self.process.read_nonblocking(10_000, timeout=0.2))
        except pexpect.TIMEOUT:
            pass
        except pexpect.EOF:
            return False
        return True

    def type(self, answer: str) -> None:
        """Replace what stands in the input."""
        self.process.send("\x05\x15" + answer)
        self.see(answer)

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        self.process.send("".join(keys))

    def finish(self) -> int:
        """Wait for the program's end, and return its exit status."""
        while self.read():
            pass
        self.process.close()
        return self.process.exitstatus


@pytest.fixture
def wizard(template, tmp_path):
    running = []

    def start(*options: str, folder: str = "my orders") -> Wizard:
        running.append(
            Wizard(sys.executable, "-m", "copier", "copy", *options, template, folder, cwd=tmp_path)
        )
        return running[-1]

    yield start
    for wizard in running:
        wizard.process.close(force=True)


def test_a_person_answers_the_questions(wizard, tmp_path):
    w = wizard()
    w.see("Enter takes the answer that stands there.")

    w.see("[1/4 Identity] What is the service called? The name people read")
    w.see("Orders")
    w.type("Café ")
    w.press(ENTER)
    w.see("The project name begins or ends with a blank; remove it.")
    w.type("Café Desk {{ 1 }}")
    w.press(ENTER)

    w.see("[1/4 Identity] What is its name in addresses? Names the repository")
    w.see("cafe-desk-1")
    w.type("Cafe Desk")
    w.press(ENTER)
    w.see("The project slug may hold only lower-case letters, digits and single hyphens")
    w.type("cafe-desk")
    w.press(ENTER)

    w.see("[1/4 Identity] What is its Python package called? Names the folder in src/")
    w.see("cafe_desk")
    w.type("email")
    w.press(ENTER)
    w.see("The package name is a module of Python's standard library; choose another, such as email_service.")
    w.type("cafe")
    w.press(ENTER)

    w.see("[1/4 Identity] What does it do, in one sentence? Opens the README")
    w.see("A Flask service with the same parts in development and production.")
    w.type("Takes \"orders\" & 'pays' for them.")
    w.press(ENTER)

    w.see("[1/4 Identity] Which GitHub user or organisation owns the repository? Names the image")
    w.see("acme")
    w.type("Cafe-Inc")
    w.press(ENTER)

    w.see("[2/4 Runtime] Which Python runs it? The same one in the image")
    w.see("3.14: for a new service")
    w.see("3.13: when a library that you need does not support 3.14")
    w.press(DOWN, ENTER)
    w.see("[2/4 Runtime] Which PostgreSQL holds its data? Choose the version")
    w.see("18: for a new service")
    w.see("17: when production does not offer 18")
    w.press(ENTER)
    w.see("[2/4 Runtime] Which server holds the cache, the rate limits and the job queue?")
    w.see("Redis 8: the original")
    w.see("Valkey 9: the Linux Foundation's fork")
    w.press(DOWN, ENTER)

    w.see("[3/4 Contents] Does it run jobs in the background? Adds a Celery worker")
    w.see("(Y/n)")
    w.press("n")
    w.see("[3/4 Contents] Under which license is it published? Writes the LICENSE file")
    w.see("Proprietary: all rights reserved, no LICENSE file")
    w.see("Apache 2.0: like MIT, with a grant of patents")
    w.press(DOWN, ENTER)

    w.see("[4/4 Delivery] Where does it run? Staging and production are deployed in the same way")
    w.see("Docker Swarm: one server or fifty, over SSH")
    w.see("Kubernetes: a cluster that you have")
    w.see("None: the pipeline ends with the tested image")
    w.press(ENTER)
    w.see("[4/4 Delivery] Does production wait for somebody's approval?")
    w.see("(y/N)")
    w.press("y")

    w.see("Café Desk {{ 1 }} is ready. Next:")
    w.see("cd 'my orders'")
    w.see('git init && git add -A && git commit -m "Generate the service"')
    w.see("make up # then open http://localhost:8000/docs")
    w.see("make test")
    assert w.finish() == 0

    answers = yaml.safe_load((tmp_path / "my orders" / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert {name: answers[name] for name in DEFAULTS} == DEFAULTS | {
        "project_name": "Café Desk {{ 1 }}",
        "project_slug": "cafe-desk",
        "package_name": "cafe",
        "description": "Takes \"orders\" & 'pays' for them.",
        "repository_owner": "Cafe-Inc",
        "python_version": "3.13",
        "postgres_version": "18",
        "cache_server": "valkey",
        "jobs": False,
        "license": "MIT",
        "deployment": "swarm",
        "production_approval": True,
    }


@pytest.mark.parametrize(("folder", "first_step"), [("my; orders", ["cd 'my; orders'"]), (".", [])])
def test_defaults_ask_nothing_and_the_message_fits_the_folder(wizard, folder, first_step):
    w = wizard("--defaults", folder=folder)
    assert w.finish() == 0
    assert not [line for line in w.lines if "/4 " in line]
    message = w.lines[w.lines.index("Orders is ready. Next:") :]
    assert [line.strip() for line in message[1:] if line] == [
        *first_step,
        'git init && git add -A && git commit -m "Generate the service"',
        "make up      # then open http://localhost:8000/docs",
        "make test",
    ]
