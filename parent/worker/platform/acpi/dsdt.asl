// SPDX-License-Identifier: BSD-2-Clause
// What a child finds beside its processors: the VMBus, the console, and the ports of the power
// block. The numbers are those of layout.h.
DefinitionBlock ("dsdt.aml", "DSDT", 2, "LUMEN ", "CHILD   ", 1)
{
    // SLP_TYP of soft off, for SLEEP_CONTROL_REG (ACPI 6.4, 4.8.3.7).
    Name (\_S5, Package () { 5, 0, 0, 0 })

    Scope (\_SB)
    {
        // Linux' hv_vmbus looks for windows of at least 1 MiB in the resources of the device and of
        // its ancestors; Hyper-V describes them with a module device.
        Device (VMOD)
        {
            Name (_HID, "ACPI0004")
            Name (_UID, Zero)
            Name (_CRS, ResourceTemplate ()
            {
                // The gap below 4 GiB, short of the I/O APIC.
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0x0, 0xC0000000, 0xFDFFFFFF, 0x0, 0x3E000000)
                // Above all RAM that a child can have.
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0x0, 0x1000000000, 0x1FFFFFFFFF, 0x0, 0x1000000000)
            })

            Device (VMBS)
            {
                Method (_HID, 0, NotSerialized) { Return ("VMBus") }
                Name (_DDN, "VMBUS")
                Name (_UID, Zero)
                Name (_STA, 0xF)
                Name (_CRS, ResourceTemplate () {})
            }
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, One)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x3F8, 0x3F8, 0x1, 0x8)
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 4 }
            })
        }

        // The power block: so that nothing else is put there.
        Device (PWRP)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, One)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x600, 0x600, 0x1, 0x4)
            })
        }
    }
}
