# A script of two hundred lines that must behave the same under both emulators.
# It uses nothing but busybox's own shell and applets.

say() { printf '%s\n' "$*"; }
section() { say; say "== $1 =="; }
fail_count=0
expect() {
  # expect NAME WANTED GOT
  if [ "$2" = "$3" ]; then
    say "ok   $1"
  else
    say "FAIL $1: wanted <$2>, got <$3>"
    fail_count=$((fail_count + 1))
  fi
}

section arithmetic
a=17; b=5
say "sum $((a + b)) difference $((a - b)) product $((a * b)) quotient $((a / b)) rest $((a % b))"
say "and $((a & b)) or $((a | b)) xor $((a ^ b)) not $((~a)) left $((a << 3)) right $((-a >> 1))"
say "compare $((a > b)) $((a < b)) $((a == 17)) $((a != 17)) $((a >= 17 && b <= 5)) $((!a || !b))"
say "hex $((0xff)) octal $((010)) ternary $((a > b ? a : b)) nested $(((a + b) * (a - b)))"
i=0; total=0
while [ $i -lt 100 ]; do
  i=$((i + 1))
  total=$((total + i * i))
done
expect "sum of squares" 338350 $total
fib() {
  if [ "$1" -lt 2 ]; then echo "$1"; else echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); fi
}
expect "fibonacci by subshells" 55 "$(fib 10)"
gcd() { local x=$1 y=$2 t; while [ $y -ne 0 ]; do t=$((x % y)); x=$y; y=$t; done; echo $x; }
expect "gcd" 21 "$(gcd 1071 462)"

section strings
path=/usr/local/share/archive.tar.gz
expect "suffix" archive.tar.gz "${path##*/}"
expect "prefix" /usr/local/share "${path%/*}"
expect "extension" gz "${path##*.}"
expect "stem" /usr/local/share/archive "${path%%.*}"
expect "length" 31 ${#path}
expect "default" none "${missing:-none}"
expect "alternative" yes "${path:+yes}"
unset assigned; : "${assigned:=later}"
expect "assign" later "$assigned"
text='one two   three'
set -- $text
expect "word split" 3 $#
expect "join" "one-two-three" "$(IFS=-; echo "$*")"
expect "quoting" 'a"b$c`d\e' 'a"b$c`d\e'
expect "command substitution" "a b" "$(printf 'a b\n\n\n')"

section here-documents
name=world
cat <<END
hello $name, $((2 + 2)) and $(echo nested)
  indentation stays, \$escaped stays
END
cat <<'END'
nothing $is `expanded` $((here))
END
cat <<-END
	tabs are
		stripped
	END
while read -r first rest; do
  say "[$first] [$rest]"
done <<END
alpha beta gamma
  leading spaces
single
END

section loops
for fruit in apple "two words" 'three $words'; do say "<$fruit>"; done
for n in $(seq 3); do
  for m in $(seq 3); do
    [ $m -gt $n ] && continue 2
    printf '%d*%d=%d ' $n $m $((n * m))
  done
done
say
until [ ${count:-0} -ge 3 ]; do count=$((${count:-0} + 1)); printf '%s ' $count; done
say
case "$name" in
  w*d) say "pattern w*d" ;;
  *) say "no pattern" ;;
esac
case 42 in [0-9]) say digit ;; [0-9][0-9]) say "two digits" ;; esac

section pipelines
seq 1000 | grep 7 | sed 's/7/seven/g' | sort -r | head -3
seq 10 | while read n; do echo $((n * n)); done | paste -s -d' '
printf '%s\n' delta alpha charlie bravo | sort | nl | tail -2
echo "The quick brown fox jumps over the lazy dog" | tr 'A-Z' 'a-z' | tr -d ' ' | fold -w1 | sort | uniq -c | sort -k1,1nr -k2 | head -4
yes no | head -5000 | wc -l
true | false; say "status $?"
! false; say "negated $?"
{ echo out; echo err >&2; } 2>&1 | sort
seq 5 | tee copy.txt | wc -l; cat copy.txt | tail -1
awk 'BEGIN { for (i = 1; i <= 3; i++) printf "%d:%.3f ", i, i / 7; print "" }'

section files
mkdir -p work/sub/deep && cd work || exit 9
for i in 1 2 3 4 5; do echo "line $i" > file$i; done
cat file* > all; wc -l < all
ln file1 hard; ln -s file2 soft
echo changed >> hard; tail -1 file1
cat soft; rm file2; cat soft 2>/dev/null || say "dangling"
mv file3 sub/deep/moved; find . -type f | sort
cp -r sub copy; diff -r sub copy && say "equal trees"
chmod 600 file4; stat -c '%a %s' file4
exec 4<> rw; echo through >&4; exec 4>&-; cat rw
exec 5< all; read -r x <&5; read -r y <&5; exec 5<&-; say "$x / $y"
: > empty; [ -s empty ] || say "empty is empty"
echo one > log; echo two >> log; set -C; (echo three > log) 2>/dev/null || say "noclobber"; set +C
tar cf - sub | tar tf - | sort
rm -rf sub copy; ls

section jobs
(sleep 2.2; echo third) & (sleep 0.2; echo first) & (sleep 1.2; echo second) &
wait
(exit 3) & first=$!; (exit 4) & second=$!
wait $second; say "second ended with $?"
wait $first; say "first ended with $?"
sleep 5 & sleeper=$!
sleep 1; kill $sleeper; wait $sleeper; say "killed: $?"
(trap 'echo child got TERM; exit 12' TERM; sleep 5 & wait) & child=$!
sleep 1; kill -TERM $child; wait $child; say "handler exit: $?"
pids=; for i in 1 2 3 4 5 6 7 8; do (exit $i) & pids="$pids $!"; done
codes=; for p in $pids; do wait $p; codes="$codes $?"; done; say "codes$codes"

section signals
trap 'say "got USR1"' USR1
trap 'say "got USR2"; trap - USR2' USR2
kill -USR1 $$; kill -USR2 $$; kill -USR1 $$
trap '' HUP; kill -HUP $$; say "HUP ignored"
sh -c 'trap "" TERM; kill -TERM $$; echo survived'; say "status $?"
sh -c 'kill -INT $$'; say "INT status $?"
sh -c 'kill -KILL $$'; say "KILL status $?"
(kill -PIPE $(sh -c 'echo $PPID')) ; say "PIPE status $?"
yes | head -1 > /dev/null; say "pipe closed quietly"
sh -c 'trap "echo leaving" EXIT; exit 6'; say "EXIT status $?"

section functions
outer() { inner() { say "inner of $1"; return 7; }; inner "$1"; say "returned $?"; }
outer me; inner you
count_args() { say "$# arguments, last ${1:+$(eval echo \${$#})}"; }
count_args a 'b c' d; count_args
recurse() { [ $1 -eq 0 ] && return 0; recurse $(($1 - 1)); }
recurse 50 && say "depth 50"
v=global; change() { local v=local; v2=leaked; say $v; }; change; say "$v $v2"

section "read and print"
printf 'a:b:c\nd:e\n' | while IFS=: read -r x y z; do say "$x|$y|$z"; done
printf '%5s|%-5s|%05d|%x|%o|%c\n' ab cd 42 255 8 xyz
printf '%b' 'tab\there\n'; printf '%s %s\n' one two three
echo 'back\slash' | { read v; say "$v"; }; echo 'back\slash' | { read -r v; say "$v"; }
set -- -a -b value rest
while getopts ab: option; do say "option $option ${OPTARG:-none}"; done
shift $((OPTIND - 1)); say "left: $*"

section sorting
printf '%s\n' 10 9 2 33 1 > numbers; sort -n numbers | tr '\n' ' '; sort numbers | tr '\n' ' '; say
printf '%s\n' "b 2" "a 10" "c 1" | sort -k2n | cut -d' ' -f1 | tr -d '\n'; say
comm=$(sort -n numbers | md5sum | cut -c1-8); say "$comm"; rm numbers

section arithmetic-in-loops
primes=; n=2
while [ $n -lt 60 ]; do
  d=2; prime=1
  while [ $((d * d)) -le $n ]; do
    [ $((n % d)) -eq 0 ] && { prime=0; break; }
    d=$((d + 1))
  done
  [ $prime = 1 ] && primes="$primes $n"
  n=$((n + 1))
done
say "primes$primes"

section errors
ls does-not-exist; say "ls: $?"
cat < does-not-exist; say "redirect: $?"
nonexistent-command; say "command: $?"
(set -e; false; say unreachable); say "set -e: $?"
(set -u; echo "$never_set"; say unreachable) 2>/dev/null; say "set -u: $?"
cd /does/not/exist; say "cd: $?"
sh -c 'exit 300'; say "exit code wraps: $?"
expr 1 + a 2>/dev/null; say "expr: $?"
[ 1 -eq x ] 2>/dev/null; say "test: $?"

section "last checks"
expect "nested quotes" "a 'b' c" "$(echo "a '$(echo b)' c")"
word=a.b.c; expect "pattern removal" b.c "${word#*.}"
[ "$(printf '%s\n' 3 1 2 | sort | tr -d '\n')" = 123 ] && say "sorted"
say "$(seq 5 -1 1 | tr '\n' ' ')"

section end
cd .. && rm -rf work copy.txt
ls | wc -l
trap 'say "exit trap, failures: $fail_count"' EXIT
exit $((fail_count + 40))
