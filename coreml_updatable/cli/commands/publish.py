"""`coreml-updatable publish BUILD... --to SITE`: a catalogue that any web server can serve."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coreml_updatable.cli.output import note, say, say_json

if TYPE_CHECKING:
    from coreml_updatable.publishing.catalogue.publish import Published


def publish(
    builds: Annotated[list[Path] | None, typer.Argument(help="Folders of builds, such as build/handwritten.")] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Folder of the catalogue; created if missing.")] = None,
    device_results: Annotated[
        list[Path] | None, typer.Option("--device-results", help="Results of the probes on a device; repeatable.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", help="URL of the catalogue; default: URLs are relative.")
    ] = None,
    keep: Annotated[int | None, typer.Option("--keep", min=1, help="Number of versions of each model to keep.")] = None,
    sign: Annotated[
        list[Path] | None, typer.Option("--sign", help="Private key to sign with; repeat it to change keys.")
    ] = None,
    revoke: Annotated[
        list[Path] | None, typer.Option("--revoke", help="Public key that readers must no longer accept.")
    ] = None,
    valid_days: Annotated[
        int, typer.Option("--valid-days", min=1, max=3650, help="Days until the signature expires.")
    ] = 90,
    previous: Annotated[
        Path | None, typer.Option("--previous", help="Catalogue that readers have now: its folder or index.json.")
    ] = None,
    with_examples: Annotated[
        bool, typer.Option("--with-examples", help="Also publish the pages that show your own pictures; asks first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --with-examples: do not ask.")] = False,
    check: Annotated[Path | None, typer.Option("--check", help="Verify this catalogue instead of publishing.")] = None,
    public_key: Annotated[
        list[Path] | None, typer.Option("--public-key", help="With --check: a key that must have signed; repeatable.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Publish builds as immutable versions, or verify a catalogue.

    The exit status is 1 if a build cannot be published or the catalogue has a problem.
    """
    if check is not None:
        if builds:
            raise typer.BadParameter("--check publishes nothing; omit BUILDS")
        raise typer.Exit(_check(check, public_key or [], previous, json))
    if to is None:
        raise typer.BadParameter("--to is required; give the folder of the catalogue")
    if not builds and not sign and not device_results and all(option is None for option in (base_url, keep)):
        raise typer.BadParameter("BUILDS is required; give one or more, such as build/handwritten")
    if with_examples:
        _show_what_becomes_public(builds or [], yes)
    from coreml_updatable.publishing.catalogue.build_report import never_learns
    from coreml_updatable.publishing.catalogue.from_paths import publish as publish_builds

    for build in builds or []:
        if never_learns(build):
            note(f"note: {build}: its model is not updatable; it is left out")
    done = publish_builds(
        builds or [],
        to,
        device_results=device_results or [],
        base_url=base_url,
        keep=keep,
        sign=sign or [],
        revoke=revoke or [],
        valid_days=valid_days,
        previous=previous,
        with_examples=with_examples,
    )
    _tell(done, to, json=json)


def _show_what_becomes_public(builds: list[Path], yes: bool) -> None:
    """Say which pages of the builds show pictures of the user's, and how many; ask, unless ``yes``."""
    from coreml_updatable.publishing.catalogue.release import EXAMPLES

    pages = [build / EXAMPLES for build in builds if (build / EXAMPLES).is_file()]
    for page in pages:
        count = page.read_text(encoding="utf-8").count("<img ")
        note(f"{page}: would be public, with {count} of your pictures (small) and the names of their files")
    if not pages:
        note("no build has a page with pictures of yours: --with-examples changes nothing")
    elif not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("--with-examples asks before it publishes; add --yes")
        if not typer.confirm("Publish them?", err=True):
            raise typer.Exit(1)


def _tell(done: "Published", site: Path, *, json: bool) -> None:
    outcomes = {"published": done.new, "unchanged": done.unchanged, "removed": done.removed}
    kept = {"kept_reports": done.kept_reports}
    if json:
        result = {
            word: [{"name": name, "version": version} for name, version in of]
            for word, of in {**outcomes, **kept}.items()
        }
        say_json({"site": str(site), "serial": done.index.serial, "expires": done.index.expires, **result}, indent=2)
        return
    for word, releases in outcomes.items():
        for name, version in releases:
            say(f"{name} {version}: {word}")
    for name, version in done.kept_reports:
        say(
            f"note: {name} {version}: the report or golden vectors of the build have changed, but not its models, and "
            "a published version does not change; to publish them, raise metadata.version in the recipe and build again"
        )
    until = f", signed until {done.index.expires}" if done.index.expires is not None else ""
    say(f"{site}: {len(done.index.models)} models, serial {done.index.serial}{until}")


def _check(site: Path, public_keys: list[Path], previous: Path | None, json: bool) -> int:
    from dataclasses import asdict

    from coreml_updatable.publishing.catalogue.from_paths import check_catalogue

    checked = check_catalogue(site, public_keys=public_keys, previous=previous)
    if json:
        say_json({"site": str(site), **asdict(checked)}, indent=2)
        return int(bool(checked.faults))
    for sentence in checked.faults:
        say(sentence)
    for sentence in checked.notes:
        say(f"note: {sentence}")
    if not checked.faults:
        say(f"{site}: {checked.files} files, {checked.bytes:,} bytes, all checksums and links are correct")
    return int(bool(checked.faults))
