#!/bin/sh
# Ends the local servers when the process that started them is gone, even by kill -9: its end of our standard input closes.
# Each line read is the whole list of the moment, `SIGNAL:PID SIGNAL:PID ...`. First the server's own stop signal, KILL after 10 s.
trap '' INT TERM HUP
list=''
while IFS= read -r line; do list="$line"; done
[ -z "$list" ] && exit 0
for entry in $list; do kill -s "${entry%%:*}" "${entry##*:}" 2>/dev/null; done
tries=0
while [ "$tries" -lt 100 ]; do
  alive=''
  for entry in $list; do kill -0 "${entry##*:}" 2>/dev/null && alive="$alive ${entry##*:}"; done
  [ -z "$alive" ] && exit 0
  sleep 0.1
  tries=$((tries + 1))
done
for pid in $alive; do kill -s KILL "$pid" 2>/dev/null; done
