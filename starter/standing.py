"""Where a service stands: how many releases behind, and what it has made of each of the template's files."""

import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .errors import Refused
from .rendering import Tree, content, render
from .service import Service
from .template import Template

# In a service: the template's files that it means to have in another way, each with the reason.
OPT_OUTS = "starter.toml"


@dataclass
class Standing:
    """Where a service stands.

    Attributes:
        template: the template's address.
        release: the release that the service has.
        newest: the newest release.
        changes: the releases that it is behind, the newest first, each with what the changelog says of it.
        files: the template's files, and what the service has made of each: ``pristine``, ``customised`` (a file of both, or one
            of the opt-outs), ``deleted`` (an opt-out), or what nobody gave a reason for: ``differs``, ``missing``.
        reasons: the opt-outs' reasons, by file.
        own: how many files are the service's own.
        idle: opt-outs that no file needs.
    """

    template: str
    release: str
    newest: str
    changes: list[tuple[str, str]]
    files: dict[str, str]
    reasons: dict[str, str]
    own: int
    idle: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left to do."""
        return not self.changes and not self.idle and not {"differs", "missing"} & {*self.files.values()}

    def as_dict(self) -> dict[str, Any]:
        """Return it as what JSON can say."""
        return asdict(self) | {"behind": len(self.changes)}


def stand(service: Service, template: Template, trust: bool = False) -> Standing:
    """Return where a service stands.

    Args:
        service: as it is in the working tree.
        template: where its releases stand.
        trust: whether the template may use what Copier does not trust.

    Raises:
        Refused: if the recorded release is none of the template's, or an opt-out has no reason.
    """
    template.require(service.release)
    newest = template.newest
    opt_outs = read_opt_outs(service.root / OPT_OUTS)
    shared = (template.settings(service.release) or template.settings(newest)).get("shared") or []
    with TemporaryDirectory(prefix="starter-") as folder:
        rendered = render(template, service.release, service.data, Path(folder, "service"), "update", trust)
    rendered.pop(service.answers_file, None)
    known = {path for path in service.git.names("ls-files", "-z") if (service.root / path).exists()}
    here = _read(service.root, rendered)
    states, reasons = {}, {}
    for path, was in sorted(rendered.items()):
        reason = next((why for pattern, why in opt_outs.items() if fnmatchcase(path, pattern)), None)
        if here.get(path) == was:
            states[path] = "pristine"
        elif path in here:
            states[path] = (
                "customised" if reason or any(fnmatchcase(path, each) for each in shared) else "differs"
            )
        else:
            states[path] = "deleted" if reason else "missing"
        if reason and states[path] != "pristine":
            reasons[path] = reason
    idle = [each for each in opt_outs if not any(fnmatchcase(path, each) for path in reasons)]
    said = dict(template.changes(service.release, newest))
    changes = [(tag, said.get(tag, "")) for tag in reversed(template.between(service.release, newest))]
    own = len(known - {*rendered} - {service.answers_file})
    return Standing(template.source, service.release, newest, changes, states, reasons, own, idle)


def _read(root: Path, paths: Iterable[str]) -> Tree:
    """Return what stands in a service at some paths."""
    return {
        path: content(root / path) for path in paths if (root / path).is_symlink() or (root / path).is_file()
    }


def read_opt_outs(path: Path) -> dict[str, str]:
    """Return the files that a service means to have in another way, as patterns with their reasons.

    Raises:
        Refused: if the file is no TOML, or gives no reason.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("opt-outs", {})
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: this is no TOML: {error}.") from None
    for pattern, reason in found.items():
        if not isinstance(reason, str) or not reason.strip():
            raise Refused(
                f'{path}: {pattern} has no reason: write [opt-outs], and "{pattern}" = "why it is another".'
            )
    return dict(found)
