// SPDX-License-Identifier: BSD-2-Clause
// Exceptions and interrupts, and functions that may fault.
#include "examples/kernel/internal.h"

#include "base/macros.h"

enum { VECTORS = 256, EXCEPTIONS = 32, STUB_SIZE = 5, NMI = 2, DOUBLE_FAULT = 8, PAGE_FAULT = 14 };

#define RFLAGS_TF (1ull << 8)
#define RFLAGS_DF (1ull << 10)
#define RFLAGS_AC (1ull << 18)

struct idt_gate { // APM2 4.8.3
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset16;
	uint32_t offset32, rsvd;
};
_Static_assert(sizeof(struct idt_gate) == 16, "APM2 4.8.3");

#define GATE_INTERRUPT 0x8e // present, DPL 0, interrupts off

// vectors.S
extern uint8_t kernel_vectors[], kernel_call_resume[];
bool kernel_call(void (*function)(void *context), void *context, uint64_t *resume);

static struct idt_gate idt[VECTORS];
static kernel_handler *handlers[VECTORS];

static void make_gates(void)
{
	for (uint32_t i = 0; i < VECTORS; i++) {
		uint64_t stub = (uint64_t)kernel_vectors + (uint64_t)i * STUB_SIZE;

		idt[i] = (struct idt_gate){
			.offset0 = (uint16_t)stub,
			.offset16 = (uint16_t)(stub >> 16),
			.offset32 = (uint32_t)(stub >> 32),
			.selector = KERNEL_CS,
			.ist = i == DOUBLE_FAULT,
			.type = GATE_INTERRUPT,
		};
	}
}

void interrupts_start(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (uint64_t)idt };

	if (!idt[0].type)
		make_gates();
	__asm__ volatile("lidt %0" : : "m"(pointer));
}

kernel_handler *kernel_set_handler(uint8_t vector, kernel_handler *handler)
{
	return __atomic_exchange_n(&handlers[vector], handler, __ATOMIC_SEQ_CST);
}

static uint64_t read_cr2(void)
{
	uint64_t address;

	__asm__ volatile("mov %%cr2, %0" : "=r"(address));
	return address;
}

// Goes on behind the kernel_call() that is under way.
static void resume(struct kernel_cpu *cpu, struct kernel_frame *frame)
{
	cpu->fault = (struct kernel_fault){
		.vector = (uint8_t)frame->vector,
		.error = (uint32_t)frame->error,
		.rip = frame->rip,
		.address = frame->vector == PAGE_FAULT ? read_cr2() : 0,
	};
	frame->rax = 1;
	frame->rip = (uint64_t)kernel_call_resume;
	frame->rsp = cpu->resume;
	frame->cs = KERNEL_CS;
	frame->ss = KERNEL_SS;
	frame->rflags &= ~(RFLAGS_TF | RFLAGS_DF | RFLAGS_AC);
}

static _Noreturn void unexpected(const struct kernel_frame *frame)
{
	static const char names[][4] = { "r15", "r14", "r13", "r12", "r11", "r10", "r9 ", "r8 ",
		"rbp", "rdi", "rsi", "rdx", "rcx", "rbx", "rax" };
	const uint64_t *values = &frame->r15;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		kernel_print("%s %016lx%c", names[i], values[i], i % 4 == 3 ? '\n' : ' ');
	kernel_print("rsp %016lx\nrip %016lx cs %lx rflags %lx cr2 %lx\n", frame->rsp, frame->rip,
		frame->cs, frame->rflags, read_cr2());
	kernel_panic("processor %u: %s %lu, error code %lx, at %lx", kernel_this_processor(),
		frame->vector < EXCEPTIONS ? "exception" : "interrupt", frame->vector, frame->error,
		frame->rip);
}

void kernel_interrupt(struct kernel_frame *frame)
{
	struct kernel_cpu *cpu = this_cpu();
	kernel_handler *handler;
	uint64_t outer;

	// The stub's call has left its return address there.
	frame->vector = (frame->vector - (uint64_t)kernel_vectors) / STUB_SIZE - 1;
	handler = handlers[frame->vector];
	if (handler) {
		// What faults in the handler is not the fault of who was interrupted.
		outer = cpu->resume;
		cpu->resume = 0;
		handler(frame);
		cpu->resume = outer;
	} else if (cpu->resume && frame->vector < EXCEPTIONS && frame->vector != NMI) {
		resume(cpu, frame);
	} else if (frame->vector != VECTOR_SPURIOUS) {
		unexpected(frame);
	}
}

int kernel_try(void (*function)(void *context), void *context, struct kernel_fault *fault)
{
	struct kernel_cpu *cpu = this_cpu();

	if (!kernel_call(function, context, &cpu->resume))
		return 0;
	if (fault)
		*fault = cpu->fault;
	return cpu->fault.vector;
}

struct access {
	union {
		uint32_t msr;
		volatile uint64_t *address;
	};
	uint64_t value;
};

static void do_rdmsr(void *context)
{
	struct access *access = context;

	access->value = kernel_rdmsr(access->msr);
}

static void do_wrmsr(void *context)
{
	const struct access *access = context;

	kernel_wrmsr(access->msr, access->value);
}

static void do_read(void *context)
{
	struct access *access = context;

	access->value = *access->address;
}

static void do_write(void *context)
{
	const struct access *access = context;

	*access->address = access->value;
}

int kernel_try_rdmsr(uint32_t msr, uint64_t *value)
{
	struct access access = { .msr = msr, .value = *value };
	int vector = kernel_try(do_rdmsr, &access, NULL);

	*value = access.value;
	return vector;
}

int kernel_try_wrmsr(uint32_t msr, uint64_t value)
{
	struct access access = { .msr = msr, .value = value };

	return kernel_try(do_wrmsr, &access, NULL);
}

int kernel_try_read(const volatile uint64_t *address, uint64_t *value)
{
	struct access access = { .address = (volatile uint64_t *)address, .value = *value };
	int vector = kernel_try(do_read, &access, NULL);

	*value = access.value;
	return vector;
}

int kernel_try_write(volatile uint64_t *address, uint64_t value)
{
	struct access access = { .address = address, .value = value };

	return kernel_try(do_write, &access, NULL);
}
