"""Debian's command-line tools, unmodified: what they print, how they end and what files they leave is as natively.

Each runs in a copy of the same small tree: a tool alone, a shell with its pipelines, or one that runs many others.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import shlex
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from serving import TIMEOUT, WARMFORK, environment

STAMP = 1_700_000_000
PERMISSIONS = ("--allow-read", "--allow-write", "--allow-env=PATH,LC_ALL,TZ")
SCRIPT = r"""
total=0
for word in one two three; do total=$((total + ${#word})); done
case $total in 11) echo eleven ;; *) echo "other: $total" ;; esac
greet() { local name=${1:-nobody}; printf '%s, %-8s|%05d\n' "hello" "$name" 42; }
greet; greet world
while read -r line; do
    [ -n "$line" ] && set -- $line && echo "$# words, last ${line##* }"
done <words
cd deep/er && echo "${PWD##*/}"
cd ../..; umask 027; echo new >made; test -f made && test ! -d made && echo made
exec 3<words; read -r first <&3; echo "$first"; exec 3<&-
trap 'echo left with $?' EXIT
kill -0 $$ && echo alive
exit 7
"""

PIPELINES = r"""
cat words | tr a-z A-Z | sort -r | head -n 2
total=$(seq 20 | while read -r n; do echo $((n * n)); done | awk '{ s += $1 } END { print s }')
echo "squares: $total"
(cd deep && ls | wc -l; exit 3); echo "status $?"
false || true && echo both
sleep 0.01 & pid=$!; wait $pid; echo "waited $?"
sh -c 'kill -TERM $$'; echo "killed $?"
find . -name 'n*' -exec wc -l {} + | sed 's/^ *//'
printf '%s\n' a b c | xargs -n 1 -I% echo item %
{ echo out; echo err >&2; } 2>&1 | sort
sh -c 'trap "echo term; exit 5" TERM; kill -TERM $$; echo not here'; echo "trapped $?"
yes | head -n 3
exec 2>&1; nosuchcommand; echo "missing $?"
"""
BASH_ONLY = r"""
diff <(sort words) <(sort -u words); echo "differ $?"
set -o pipefail; false | true; echo "pipefail $? ${PIPESTATUS[*]}"
mapfile -t lines < <(cut -d' ' -f1 words); echo "${#lines[@]} ${lines[0]}"
coproc cat; echo through >&"${COPROC[1]}"; read -r back <&"${COPROC[0]}"; echo "$back"
eval "exec ${COPROC[1]}>&-"; wait
trap 'echo child' CHLD; set -m; sleep 0.01 & wait; trap - CHLD
set -m; sleep 100 & kill %1; wait %1; echo "job $?"
(( $(jobs -p | wc -l) == 0 )) && echo none
timeout 0.05 sleep 100; echo "timeout $?"
"""
REPOSITORY = r"""
export HOME=$PWD GIT_AUTHOR_DATE=@1700000000 GIT_COMMITTER_DATE=@1700000000 GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=Me GIT_AUTHOR_EMAIL=me@example.org GIT_COMMITTER_NAME=Me GIT_COMMITTER_EMAIL=me@example.org
git init -q -b main .
git add words deep && git commit -qm first && echo more >>words && git diff --stat && git commit -qam second
git log --format='%H %s' && git checkout -q -b side HEAD~ && echo side >side && git add side && git commit -qm side
git merge -q -m merged main && git log --oneline --graph | cat
git clone -q . copies/clone && git -C copies/clone log --oneline | wc -l
git gc -q && git fsck && git status --short | sort && git rev-parse HEAD^{tree}
rm -rf .git copies/clone .gitconfig
"""
PROGRAM = r"""
cat >one.c <<'END'
#include <stdio.h>
int two(void);
int main(void) { return printf("compiled %d\n", two()) < 0; }
END
echo 'int two(void) { return 2; }' >two.c
printf 'program: one.o two.o\n\tgcc -o $@ $^\n%%.o: %%.c\n\tgcc -O1 -c $<\n' >Makefile
make -j2 program >made.log && sort made.log && ./program && make program
gcc -c broken.c; echo "status $?"
rm -f made.log
"""

HISTORY = r"""
export HOME=$PWD GIT_AUTHOR_DATE=@1700000000 GIT_COMMITTER_DATE=@1700000000 GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=Me GIT_AUTHOR_EMAIL=me@example.org GIT_COMMITTER_NAME=Me GIT_COMMITTER_EMAIL=me@example.org
git init -q -b main . && git add . && git commit -qm all && git tag -m tagged v1
for n in 1 2 3; do echo line $n >>words; git commit -qam "change $n"; done
git checkout -q -b topic HEAD~2 && echo topic >topic && git add topic && git commit -qm topic
git rebase -q main && git log --oneline | wc -l && git describe
echo more >>words && git stash -q && git status --short && git stash pop -q && git diff --numstat
git blame -s words | cut -d' ' -f2- && git grep -n t[wh] -- words && git checkout -q words
git clone -q --no-local file://$PWD/. copies/over && git -C copies/over branch -a && (cd copies/over && git pull -q)
git worktree add -q copies/tree v1 2>&1 && ls copies/tree | wc -l && git archive HEAD words | tar -tv --full-time
git bisect start -q HEAD v1 && git bisect run sh -c '! grep -q "line 2" words' | grep 'first bad'
git repack -qadf && git count-objects -v | grep packs && git fsck --full --strict
git cat-file --batch-check --batch-all-objects | wc -l
rm -rf .git copies/over copies/tree
"""
COMPILED = r"""
cat >one.c <<'END'
#include <math.h>
#include <pthread.h>
#include <stdio.h>
int two(int);
static void *thread(void *number) { return (void *)(long)two((int)(long)number); }
int main(int count, char **words) {
    pthread_t made;
    void *result;
    if (pthread_create(&made, NULL, thread, (void *)20L) || pthread_join(made, &result)) return 1;
    return printf("%ld %.3f %d\n", (long)result, sqrt(count), words[count] == NULL) < 0;
}
END
printf 'int two(int number) { return number * 2 + 2; }\n' >two.c
gcc -O2 -Wall -Wextra -s -o plain one.c two.c -lm -pthread && ./plain
gcc -O2 -s -static -o static one.c two.c -lm -pthread && ./static a
gcc -O2 -s -flto=2 -o whole one.c two.c -lm -pthread && ./whole a b
gcc -shared -fPIC -s -o libtwo.so two.c && gcc -s -o shared one.c -L. -ltwo -Wl,-rpath,. -lm -pthread && ./shared
gcc -c two.c && ar rcD libtwo.a two.o && gcc -s -o archived one.c libtwo.a -lm -pthread && ./archived && nm -g two.o
gcc -E -P two.c && gcc -S -O1 -o - two.c | grep -c two && echo 'int main(void) { return missing(); }' >three.c
gcc -o never three.c 2>&1 | grep -o 'undefined reference.*'; echo 'int x = "' | gcc -xc - 2>&1 | grep -c error
"""
# Each maps its shadow of the whole address space at addresses of its own, and minds where Linux maps the rest.
SANITIZED = r"""
cat >bad.c <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
static int shared = 2147483600;
static void *add(void *unused) { shared++; return unused; }
int main(int count, char **words) {
    char *bytes = malloc(100 * count), kind = count > 1 ? *words[1] : 0;
    pthread_t thread;
    if (kind == 'a') free(bytes);
    bytes[50] = kind;
    if (pthread_create(&thread, NULL, add, NULL)) return 1;
    if (kind == 't') shared++;
    pthread_join(thread, NULL);
    if (kind == 'u') shared += shared;
    return puts(shared > 0 ? "grew" : "overflowed") < 0; // by how much, the race decides
}
END
export ASAN_OPTIONS=detect_leaks=0
for kind in address thread undefined; do
    gcc -g -fsanitize=$kind -o made bad.c
    setarch -R ./made; echo "status $?"; setarch -R ./made $kind 2>report; echo "status $?"
    grep -oE 'heap-use-after-free on|SUMMARY: ThreadSanitizer: data race|signed integer overflow' report
done
rm -f made report
"""
DATABASE = r"""
sqlite3 made.db 'pragma journal_mode = wal; create table t(id integer primary key, name text, n int)'
sqlite3 made.db 'create index i on t(n)'
seq 2000 | sed "s/.*/insert into t(name, n) values ('name &', & * 7919 % 1000);/; 1i begin;
\$a commit;" | sqlite3 made.db
sqlite3 made.db 'select count(*), sum(n), max(name) from t where n between 100 and 200; pragma integrity_check'
for n in 1 2 3; do
    sqlite3 -cmd '.timeout 60000' made.db "begin immediate; update t set n = n + $n where id = 1; commit" &
done; wait
sqlite3 -header -column made.db 'select * from t order by id limit 2; select json_object("a", n) from t limit 1'
sqlite3 made.db 'begin; delete from t; rollback; select count(*) from t'
sqlite3 made.db 'attach "other.db" as o; create table o.c as select * from t' && sqlite3 other.db .dump | md5sum
sqlite3 made.db 'vacuum; pragma journal_mode = delete; insert into nothing values (1)'; echo $?
sqlite3 made.db '.backup copied.db' && sqlite3 copied.db 'select count(distinct n) from t' && rm -f *.db; ls
"""

# Debian package, command line, standard input.
CASES = [
    # busybox, static: the shell's own commands and applets.
    ("busybox-static", "busybox cat words deep/numbers empty", ""),
    ("busybox-static", "busybox cat", "through standard input\n"),
    ("busybox-static", "busybox ls -l --color=never", ""),
    ("busybox-static", "busybox ls -R missing .", ""),
    ("busybox-static", "busybox sed -n -e 's/o/0/g;2,3p;$=' words", ""),
    ("busybox-static", "busybox sed -i s/one/1/ words", ""),
    ("busybox-static", "busybox awk '{ n += NF; print NR \": \" $1 } END { print n, length($0) }' words", ""),
    ("busybox-static", "busybox sort -r deep/numbers", ""),
    ("busybox-static", "busybox sort -n -u", "10\n9\n10\n1\n"),
    ("busybox-static", "busybox find . -name '*e*' -type f -size -9999", ""),
    ("busybox-static", "busybox grep -rn t[wh] words deep", ""),
    ("busybox-static", "busybox grep absent words", ""),
    ("busybox-static", "busybox md5sum data words", ""),
    ("busybox-static", "busybox tar -cf made.tar words deep", ""),
    ("busybox-static", "busybox tar -tvf kept.tar", ""),
    ("busybox-static", "busybox gzip -c words", ""),
    ("busybox-static", "busybox gzip data", ""),
    ("busybox-static", "busybox dd if=data of=part bs=1000 skip=3 count=7 conv=notrunc status=none", ""),
    ("busybox-static", "busybox wc words deep/numbers data", ""),
    ("busybox-static", "busybox date -u -d @86400", ""),
    ("busybox-static", "busybox date -r words", ""),
    ("busybox-static", "busybox stat -c '%n %s %a %F %Y' words deep link", ""),
    ("busybox-static", "busybox cp -a deep copied", ""),
    ("busybox-static", "busybox truncate -s 12345 words", ""),
    ("busybox-static", "busybox cmp words deep/numbers", ""),
    ("busybox-static", "busybox expr 6 '*' 7", ""),
    ("busybox-static", "busybox printenv LC_ALL HOME", ""),
    # coreutils
    ("coreutils", "ls", ""),
    ("coreutils", "ls -lLR --time-style=full-iso --color=never", ""),
    ("coreutils", "ls -1sS missing words deep", ""),
    ("coreutils", "cat -A words deep/numbers -", "\tstandard input"),
    ("coreutils", "sort words", ""),
    ("coreutils", "sort -k2,2 --parallel=2 --stable words", ""),
    ("coreutils", "sort --buffer-size=64K -o sorted data", ""),
    ("coreutils", "sha256sum data words missing", ""),
    ("coreutils", "cp -a words deep link copies", ""),
    ("coreutils", "cp --sparse=always data made", ""),
    ("coreutils", "cp --no-clobber missing made", ""),
    ("coreutils", "mv -v words deep/numbers copies", ""),
    ("coreutils", "mv --no-clobber deep copies/renamed", ""),
    ("coreutils", "rm -rv deep link", ""),
    ("coreutils", "rm missing", ""),
    ("coreutils", "mkdir -p -m 750 a/b/c copies", ""),
    ("coreutils", "rmdir copies deep", ""),
    ("coreutils", "touch -d @1234567890 words made", ""),
    ("coreutils", "touch -r deep data", ""),
    ("coreutils", "chmod -R u=rwX,go= deep", ""),
    ("coreutils", "ln -s nowhere made", ""),
    ("coreutils", "ln words copies/hard", ""),
    ("coreutils", "readlink -f link deep/../words", ""),
    ("coreutils", "stat -c '%n %s %A %h %U %F %y' words deep link missing", ""),
    ("coreutils", "head -n 2 words deep/numbers", ""),
    ("coreutils", "head -c 5", "cut here"),
    ("coreutils", "tail -n 2 words deep/numbers", ""),
    ("coreutils", "tail -c +100000 data", ""),
    ("coreutils", "wc -lwmc words data", ""),
    ("coreutils", "cut -d ' ' -f 2- words", ""),
    ("coreutils", "tr a-z A-Z", "letters\n"),
    ("coreutils", "uniq -c", "a\na\nb\na\n"),
    ("coreutils", "od -A x -t x1z -N 64 data", ""),
    ("coreutils", "base64 -w 60 words", ""),
    ("coreutils", "split -b 50000 data piece-", ""),
    ("coreutils", "tee one two", "to three places\n"),
    ("coreutils", "dd if=data bs=4096 count=3 seek=2 of=made status=none", ""),
    ("coreutils", "du -ab deep words", ""),
    ("coreutils", "df --output=target /proc", ""),
    ("coreutils", "seq 1 3 10", ""),
    ("coreutils", "date -u -d @0 +%FT%T%z", ""),
    ("coreutils", "id -un", ""),
    ("coreutils", "uname -sm", ""),
    ("coreutils", "env -i A=b", ""),
    ("coreutils", "sync words", ""),
    ("coreutils", "shuf --random-source=data words", ""),
    # others that every Debian has
    ("grep", "grep -Ern --color=always 't(w|h)' words deep", ""),
    ("grep", "grep -c e -f words data words", ""),
    ("sed", "sed -E 's/(t)(.)/\\2\\1/; /three/d' words", ""),
    ("sed", "sed -i.before s/two/2/ words", ""),
    ("mawk", "mawk '{ words[$1]++ } END { for (word in words) n++; print n; printf \"%.3f\\n\", exp(1) }' words", ""),
    ("findutils", "find . -newermt 2000-01-01 -printf '%P %s %m %l %y\\n'", ""),
    ("tar", "tar --sort=name -cf made.tar words deep link", ""),
    ("tar", "tar -tvf kept.tar --full-time", ""),
    ("tar", "tar -xpf kept.tar -C copies", ""),
    ("gzip", "gzip -9k data words", ""),
    ("gzip", "gzip -dc kept.gz", ""),
    ("diffutils", "diff -u words deep/numbers", ""),
    ("diffutils", "diff -rq deep copies", ""),
    ("diffutils", "cmp -l words link", ""),
    ("dash", f"dash -c {shlex.quote(SCRIPT)}", ""),
    ("bash", "bash -c 'a=(1 2 3); echo ${a[@]: -2} $((2**10)); [[ abc =~ b. ]] && echo ${BASH_REMATCH[0]}'", ""),
    ("bash", "bash -O globstar -c 'echo **/*'", ""),
    ("busybox-static", f"busybox sh -c {shlex.quote(SCRIPT)}", ""),
    # shells that run others, and tools that do
    ("dash", f"dash -c {shlex.quote(PIPELINES)}", ""),
    ("bash", f"bash -c {shlex.quote(PIPELINES)}", ""),
    ("bash", f"bash -c {shlex.quote(BASH_ONLY)}", ""),
    ("busybox-static", f"busybox sh -c {shlex.quote(PIPELINES)}", ""),
    ("git", f"sh -c {shlex.quote(REPOSITORY)}", ""),
    ("git", f"sh -c {shlex.quote(HISTORY)}", ""),
    ("make", f"sh -c {shlex.quote(PROGRAM)}", ""),
    ("gcc", f"sh -c {shlex.quote(COMPILED)}", ""),
    ("gcc", f"sh -c {shlex.quote(SANITIZED)}", ""),
    ("gcc", "gcc -xc -O1 -s -o made -", "int main(void) { return 7; }\n"),
    ("tar", "sh -c 'tar -cf - words deep link | tar -xvf - -C copies; tar -cJf made.tar.xz --sort=name deep'", ""),
    ("npm", "npm --version", ""),
    ("coreutils", "env sh -c 'echo $0 | tr a-z A-Z' word", ""),
    ("findutils", "xargs -P 3 -n 1 sh -c 'exit $0'", "0 0 1 0"),
    ("tar", "tar -czf made.tar.gz --sort=name words deep", ""),
    ("perl-base", "perl -e 'print `echo hi`; if (!($p = fork)) { exit 4 } waitpid $p, 0; print $? >> 8'", ""),
    ("perl-base", "perl -ne 'print scalar reverse; END { print -s \"data\", \"\\n\" }' words", ""),
    # and some that are often there
    ("xz-utils", "xz -k -T1 data", ""),
    ("xz-utils", "xz -k -T2 --block-size=50000 words", ""),
    ("sqlite3", "sqlite3 made.db 'create table t(a, b); insert into t values (1, 2), (3, 4); select a * b from t'", ""),
    ("sqlite3", f"sh -c {shlex.quote(DATABASE)}", ""),
    ("sqlite3", "sqlite3 :memory: -csv", "create table t(a); insert into t values ('x,y'), (NULL); select * from t;\n"),
    ("openssl", "openssl dgst -sha256 data", ""),
]  # fmt: skip


def plant(root: Path) -> Path:
    """A small tree with files of several kinds, the same wherever it stands."""
    tree = root / "tree"
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "copies").mkdir()
    (tree / "words").write_text("one two\nthree\ntwo three four\n\nfive one\n")
    (tree / "deep" / "numbers").write_text("".join(f"{number * 7919 % 101}\n" for number in range(40)))
    (tree / "deep" / "er" / "one").write_bytes(b"")
    (tree / "empty").write_bytes(b"")
    data = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(4000))
    (tree / "data").write_bytes(data[:64_000] + bytes(32_768) + data[64_000:])
    (tree / "data").chmod(0o755)
    (tree / "link").symlink_to("deep/numbers")
    age(tree)
    for name, command in (("kept.tar", ["tar", "--sort=name", "-cf", "kept.tar", "words", "deep"]),
                          ("kept.gz", ["gzip", "-nc", "words"])):  # fmt: skip
        done = subprocess.run(command, cwd=tree, capture_output=True, check=True)
        if not (tree / name).exists():
            (tree / name).write_bytes(done.stdout)
    age(tree)
    return tree


def age(tree: Path) -> None:
    """Gives everything below ``tree`` the same time."""
    for path in sorted(tree.rglob("*"), reverse=True):
        os.utime(path, (STAMP, STAMP), follow_symlinks=False)


def survey(tree: Path) -> list[str]:
    """Every file below ``tree``: its mode, whether it is as old as it was, and what it holds."""
    found = []
    for path in sorted(tree.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            content = os.readlink(path)  # noqa: PTH115
        elif path.is_dir():
            content = ""
        else:
            content = f"{status.st_nlink} {status.st_size} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        kept = int(status.st_mtime) if status.st_mtime < STAMP + 1 else "new"
        found.append(f"{path.relative_to(tree)}: {stat.filemode(status.st_mode)} {kept} {content}")
    return found


def run(command: list[str], root: Path, stdin: str, prefix: tuple[str | Path, ...] = ()) -> list[str]:
    """Runs a tool in a new tree; what it wrote, how it ended and what the tree is then, in lines."""
    tree = plant(root)
    done = subprocess.run(
        [*prefix, *command],
        cwd=tree,
        env=environment() | {"LC_ALL": "C.UTF-8", "TZ": "UTC"},
        input=stdin.encode(),
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    texts = [done.stdout, b"--- standard error", done.stderr]
    lines = [repr(line)[2:-1] for text in texts for line in text.replace(bytes(root), b"ROOT").split(b"\n")]
    return [*lines, f"--- status {done.returncode}", *survey(tree)]


@pytest.mark.parametrize(("package", "line", "stdin"), CASES, ids=[f"{line[:60]}" for _, line, _ in CASES])
@pytest.mark.shows("as natively")
def test_as_natively(package: str, line: str, stdin: str, tool: Callable[[str, str], str], tmp_path: Path) -> None:
    command = shlex.split(line)
    command[0] = tool(command[0], package)
    expected = run(command, tmp_path / "native", stdin)
    actual = run(command, tmp_path / "guest", stdin, (WARMFORK, "run", *PERMISSIONS, "--"))
    assert actual == expected, "\n".join(difflib.unified_diff(expected, actual, "natively", "in warmfork", lineterm=""))
