"""Values that contradict each other or cannot work, and typos, are refused with the message that their file
names; and every message of the templates is provoked by some file."""

import re
from concurrent.futures import ThreadPoolExecutor

from chart import CHART, MINIMAL, Report, template

# Messages of the templates: the text of `append $wrong` or `fail`, perhaps inside `printf`.
MESSAGE = re.compile(r'(?:append \$wrong|fail) \(?(?:printf )?"((?:[^"\\]|\\.)*)"')


def main():
    report = Report("refused values")
    files = sorted((CHART / "ci/fail").glob("*.yaml")) + sorted((CHART / "ci/typo").glob("*.yaml"))
    lines = set()
    with ThreadPoolExecutor(2) as pool:
        for path, (text, error) in zip(files, pool.map(lambda path: template(MINIMAL, path), files)):
            name = f"{path.parent.name}/{path.name}"
            report.check(text is None, f"{name} is accepted")
            expected = re.findall(r"^# expect: (.*)$", path.read_text(), re.MULTILINE)
            report.check(expected, f"{name} says not what it expects")
            for message in expected:
                report.check(message in (error or ""), f"{name}: no `{message}` in `{error}`")
            lines.update((error or "").splitlines())
    for source in sorted(CHART.rglob("templates/**/*")):
        for message in MESSAGE.findall(source.read_text()) if source.is_file() else []:
            if not message.startswith("\\n"):
                form = re.sub("%[ds]", ".*", re.escape(message))
                found = any(re.search(form, line) for line in lines)
                report.check(found, f"{source.name}: no file in ci/fail provokes `{message}`")
    report.end()


main()
