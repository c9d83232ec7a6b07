#!/bin/sh
# First process of the guest: a network card at work, and a device (edu) that is told to write where nothing is mapped for it.
export PATH=/bin
alias b=busybox
b mount -t proc p /proc
b mount -t sysfs s /sys
b mount -t devtmpfs d /dev
b mount -t tracefs t /sys/kernel/tracing
for events in iommu intel_iommu; do
  [ -d /sys/kernel/tracing/events/$events ] && echo 1 >/sys/kernel/tracing/events/$events/enable
done

b unxz -c /e1000.ko.xz >/tmp/e1000.ko
b insmod /tmp/e1000.ko
b ifconfig eth0 10.0.2.15
b ping -c 2 -W 1 10.0.2.2

edu=$(b grep -l 0x11e8 /sys/bus/pci/devices/*/device)
edu=${edu%/device}
bar=$(b head -n 1 $edu/resource | b cut -d ' ' -f 1)
echo 1 >$edu/enable
# Memory and bus mastering on.
printf '\006\000' | b dd of=$edu/config bs=1 seek=4 count=2 conv=notrunc 2>/dev/null
for address in 0x1000 0x2000 0x1000; do
  b devmem $((bar + 0x80)) 64 0x40000
  b devmem $((bar + 0x88)) 64 $address
  b devmem $((bar + 0x90)) 64 4
  # Start, from the device to memory.
  b devmem $((bar + 0x98)) 64 3
  b sleep 1
done

echo "=== trace"
b cat /sys/kernel/tracing/trace
for table in DMAR IVRS; do
  [ -e /sys/firmware/acpi/tables/$table ] || continue
  echo "=== $table"
  b base64 /sys/firmware/acpi/tables/$table
done
echo "=== end"
b poweroff -f
