// A QEMU TCG plugin that counts executed guest instructions: all of them, and those at addresses lo..hi (arguments of the plugin).
//
// With the argument "domain", it counts those that Xen's hardware-virtualised domains execute, and nothing of Xen or of its control domain,
// which is paravirtualised: what is executed after VMRUN and before the next block of Xen's own.
// Debian ships no qemu-plugin.h, so the few prototypes of its interface (version 1, QEMU 7.2) are declared here.
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { QEMU_PLUGIN_INLINE_ADD_U64 = 0 };
enum { QEMU_PLUGIN_CB_NO_REGS = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int operation, void *counter, uint64_t step);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_tb_exec_cb(
    struct qemu_plugin_tb *, void (*)(unsigned vcpu, void *), int registers, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;

// Where Xen 4.17 for x86_64 has itself (XEN_VIRT_START and what is around it), and no Linux has anything.
#define XEN_START 0xffff82d000000000
#define XEN_END 0xffff830000000000

static uint64_t all, inside, lo, hi = UINT64_MAX;
static bool domain_only, in_domain;

// What a block means to a count of domains, in one word: its instructions, and two flags.
enum { OF_XEN = 1, ENDS_WITH_VMRUN = 2, FLAG_BITS = 2 };

static void executed(unsigned vcpu, void *data) {
    (void)vcpu;
    uintptr_t block = (uintptr_t)data;
    if (block & OF_XEN) in_domain = false;
    if (in_domain) inside += block >> FLAG_BITS;
    if (block & ENDS_WITH_VMRUN) in_domain = true;
}

static uintptr_t describe(const struct qemu_plugin_tb *block) {
    static const uint8_t vmrun[] = {0x0f, 0x01, 0xd8};
    uint64_t address = qemu_plugin_tb_vaddr(block), count = qemu_plugin_tb_n_insns(block);
    const struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(block, count - 1);
    bool is_vmrun = qemu_plugin_insn_size(last) == sizeof vmrun && !memcmp(qemu_plugin_insn_data(last), vmrun, sizeof vmrun);
    bool is_xen = address >= XEN_START && address < XEN_END;
    return (uintptr_t)count << FLAG_BITS | (is_xen ? OF_XEN : 0) | (is_xen && is_vmrun ? ENDS_WITH_VMRUN : 0);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    if (domain_only) {
        qemu_plugin_register_vcpu_tb_exec_cb(block, executed, QEMU_PLUGIN_CB_NO_REGS, (void *)describe(block));
        return;
    }
    uint64_t address = qemu_plugin_tb_vaddr(block), count = qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &all, count);
    if (address >= lo && address < hi)
        qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &inside, count);
}

static void ended(qemu_plugin_id_t id, void *data) {
    (void)id, (void)data;
    fprintf(stderr, "insn-count: all %" PRIu64 " inside %" PRIu64 "\n", all, inside);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "lo=", 3)) lo = strtoull(argv[i] + 3, NULL, 0);
        if (!strncmp(argv[i], "domain", 6)) domain_only = true;
        if (!strncmp(argv[i], "hi=", 3)) hi = strtoull(argv[i] + 3, NULL, 0);
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
