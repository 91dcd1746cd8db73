#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run ansible-test without containers on a copy of this tree: ansible_test.sh ENVIRONMENT COMMAND [ARGUMENT...]
#
# ansible-test refuses a linked directory, so it gets a real copy at .../ansible_collections/ringmaster/webops. It keeps
# its caches in HOME, which is build/ansible-test/home here: nothing is written into the user's own.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
case $here in
    *[[:space:]]*)
        printf '%s\n' "ansible-test cannot start Ansible from a path with white space: $here. Clone into another directory." >&2
        exit 1 ;;
esac
environment=$(cd "$1" && pwd)
shift

HOME="$here/build/ansible-test/home"
export HOME
mkdir -p "$HOME/.ansible/test/cache"

# ansible-test downloads get-pip.py from the internet; these stand-ins do its work with ensurepip and the machine's own
# pip configuration. ansible-core 2.19 asks for 24.2, 2.21 for 25.2.
for version in 24_2 25_2; do
    cat > "$HOME/.ansible/test/cache/get_pip_$version.py" <<'PYTHON'
import subprocess
import sys

if __name__ == "__main__":
    packages = [argument for argument in sys.argv[1:] if "==" in argument]
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "ensurepip", "--default-pip"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*pip, *packages], check=True)
PYTHON
done

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
trap 'exit 130' INT TERM
copy="$temporary/ansible_collections/ringmaster/webops"
mkdir -p "$copy"
cd "$here"
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- --ignore-failed-read | tar --extract --directory "$copy"

# The real Pythons, not the shims in front of them: ansible-test stops where a shim does not run.
PATH="$environment/bin:$("$here/scripts/setup.sh" pythons | tr '\n' ':')/usr/sbin:/usr/bin:/sbin:/bin"
export PATH
unset PYENV_VERSION ANSIBLE_COLLECTIONS_PATH ANSIBLE_CONFIG
cd "$copy"
"$environment/bin/ansible-test" "$@"
