/** Text like that of `dmesg`, the same every time: what drivers say, and among it faults of IOMMUs. */

/** A small generator of numbers below a bound. */
type Random = (below: number) => number;

function generator(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const hex = (n: number, digits: number) => n.toString(16).padStart(digits, '0');
/** Of PCI: `0000:03:00.0`. */
const device = (random: Random) => `0000:${hex(random(256), 2)}:${hex(random(32), 2)}.${random(8)}`;
/** Of a page below 64 GiB. */
const page = (random: Random) => `${hex(random(1 << 24), 6)}000`;

/** What is on most machines' logs, each with what changes in it. Some of it has words that faults have, too. */
const ORDINARY: readonly ((random: Random) => string)[] = [
  (random) => `pci ${device(random)}: [8086:${hex(random(65536), 4)}] type 00 class 0x060000 conventional PCI endpoint`,
  (random) => `pci ${device(random)}: BAR 0 [mem 0x${page(random)}-0x${page(random)} 64bit pref]: assigned`,
  (random) => `pci ${device(random)}: Adding to iommu group ${random(64)}`,
  (random) => `pcieport ${device(random)}: AER: enabled with IRQ ${random(256)}`,
  (random) => `pcieport ${device(random)}: PME: Signaling with IRQ ${random(256)}`,
  (random) => `usb ${random(8)}-${random(8)}: new high-speed USB device number ${random(128)} using xhci_hcd`,
  (random) =>
    `usb ${random(8)}-${random(8)}: New USB device found, idVendor=${hex(random(65536), 4)}, idProduct=${hex(random(65536), 4)}, bcdDevice= 1.00`,
  (random) => `usb ${random(8)}-${random(8)}: New USB device strings: Mfr=1, Product=2, SerialNumber=3`,
  (random) => `xhci_hcd ${device(random)}: xHCI Host Controller`,
  (random) => `nvme nvme${random(8)}: ${random(128)}/0/0 default/read/poll queues`,
  (random) =>
    `sd ${random(16)}:0:0:0: [sd${'abcdefgh'[random(8)]}] ${random(1 << 30)} 512-byte logical blocks: (500 GB/466 GiB)`,
  (random) => `ata${random(16)}: SATA link up 6.0 Gbps (SStatus 133 SControl 300)`,
  (random) => `EXT4-fs (nvme0n1p${random(8)}): mounted filesystem with ordered data mode. Quota mode: none.`,
  (random) => `e1000e ${device(random)} eno${random(4)}: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx`,
  (random) =>
    `iwlwifi ${device(random)}: loaded firmware version 77.${hex(random(1 << 24), 8)}.0 ty-a0-gf-a0-77.ucode op_mode iwlmvm`,
  (random) =>
    `audit: type=1400 audit(${1_700_000_000 + random(1 << 20)}.${random(1000)}:${random(10000)}): apparmor="STATUS" operation="profile_load" profile="unconfined" name="snap.core.hook.configure" pid=${random(32768)} comm="apparmor_parser"`,
  (random) => `systemd[1]: Started systemd-journald.service - Journal Service (${random(100000)} ms).`,
  (random) => `BIOS-e820: [mem 0x${hex(random(1 << 24), 16)}-0x${hex(random(1 << 24), 16)}] usable`,
  (random) =>
    `ACPI: SSDT 0x${hex(random(1 << 24), 16)} 00${hex(random(65536), 4)} (v02 INTEL  xh_rps   00000000 INTL 20200717)`,
  (random) => `CPU${random(128)}: Package temperature/speed normal`,
  (random) => `snd_hda_intel ${device(random)}: bound ${device(random)} (ops i915_audio_component_bind_ops)`,
  (random) => `[drm] Initialized i915 1.6.0 for ${device(random)} on minor ${random(4)}`,
  (random) =>
    `clocksource: tsc: mask: 0xffffffffffffffff max_cycles: 0x${hex(random(1 << 24), 11)}, max_idle_ns: ${random(1 << 30)} ns`,
  (random) => `amdgpu ${device(random)}: amdgpu: SMU is initialized successfully! (${random(100)})`,
  (random) => `DMAR: dmar${random(4)}: Using Queued invalidation`,
  (random) => `PM: suspend exit ${random(1000)}`,
  (random) =>
    `perf: interrupt took too long (${2500 + random(5000)} > 2500), lowering kernel.perf_event_max_sample_rate to ${random(100000)}`,
  (random) => `docker0: port ${random(16)}(veth${hex(random(1 << 24), 7)}) entered blocking state`,
];

/** Faults, each of as many lines as Linux prints of it. */
const FAULTS: readonly ((random: Random) => readonly string[])[] = [
  (random) => [
    'DMAR: DRHD: handling fault status reg 2',
    `DMAR: [DMA Write NO_PASID] Request device [${device(random).slice(5)}] fault addr 0x${page(random)} [fault reason 0x05] PTE Write access is not set`,
  ],
  (random) => [
    `nvme ${device(random)}: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000b address=0x${page(random)} flags=0x0000]`,
  ],
  (random) => {
    const unit = 'arm-smmu-v3 fc900000.iommu:';
    const [stream, at] = [hex(random(65536), 8), page(random)];
    return [
      `${unit} event 0x10 received:`,
      `${unit} \t0x${stream}00000010`,
      `${unit} \t0x0000020000000000`,
      `${unit} \t0x${at.padStart(16, '0')}`,
      `${unit} \t0x0000000000000000`,
      `${unit} event: F_TRANSLATION client: ${device(random)} sid: 0x${stream} ssid: 0x0 iova: 0x${at} ipa: 0x0`,
      `${unit} unpriv data write s1 "Input address caused fault" stag: 0x0`,
    ];
  },
  (random) => [
    `riscv-iommu 0000:00:01.0: Fault 13 devid: 0x${hex(random(65536), 4)} iotval: ${page(random)} iotval2: 0`,
  ],
  (random) => [`virtio_iommu virtio0: page fault from EP ${random(65536)} at 0x${page(random)} [W]`],
];

/**
 * A log.
 * @param characters of it, about
 * @param faults of a hundred lines, how many are of faults
 */
export function dmesg(characters: number, faults: number): string {
  const random = generator(1);
  const lines: string[] = [];
  let [length, ofFaults, time] = [0, 0, 0];
  const say = (text: string) => {
    time += random(2000);
    const line = `[${(time / 1e6).toFixed(6).padStart(12)}] ${text}`;
    lines.push(line);
    length += line.length + 1;
  };
  while (length < characters) {
    if (ofFaults * 100 < lines.length * faults || faults === 100) {
      const of = FAULTS[random(FAULTS.length)]?.(random) ?? [];
      for (const text of of) say(text);
      ofFaults += of.length;
    } else say(ORDINARY[random(ORDINARY.length)]?.(random) ?? '');
  }
  return `${lines.join('\n')}\n`;
}
