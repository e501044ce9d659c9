#!/bin/busybox sh
# The first process of a machine that test/kernels/run.sh boots: runs the tests
# of internal/kernel, then the collector against a real client and server, says
# what became of it on the serial line, and switches the machine off.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmp /tmp
ip link set lo up
echo "kernel $(uname -r)"

# The verifier, every call at every limit, the probes, a full ring. The test with
# OpenSSL needs programs that are not here; that of Go has its own.
cd /tests
kernel=failed
CI=true ./kernel.test -test.timeout 30m -test.v -test.skip '^TestOpenSSL' >/tmp/kernel.log 2>&1 && kernel=passed
grep -E '^(---|FAIL|PASS|panic)|_test.go' /tmp/kernel.log

mkdir -p /tmp/www && echo hello >/tmp/www/index.html
httpd -p 127.0.0.1:8000 -h /tmp/www
/tests/otelcol-qtap --config /tests/config.yaml >/tmp/collector.log 2>&1 &
collector=$!
capture=failed
for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	sleep 3
	wget -q -O /dev/null http://127.0.0.1:8000/index.html
	if [ "$(grep -c 'GET http://127.0.0.1:8000/index.html 200' /tmp/collector.log)" -ge 2 ]; then
		capture=passed
		break
	fi
done
kill $collector
wait $collector || capture=failed
tail -n 20 /tmp/collector.log
echo "RESULT kernel tests $kernel, capture $capture"
poweroff -f
