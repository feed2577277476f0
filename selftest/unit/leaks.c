/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linked into every test of a build with AddressSanitizer. Criterion runs each test in a process of its own and does
 * not care how that ends once the test has passed, so what LeakSanitizer finds at its exit would go unnoticed. Here it looks
 * right after the test's function, and what it finds fails that test. (A fixture's .fini runs later: what
 * it frees must be reachable from a static variable, as it has to be anyway.)
 */
#include <criterion/criterion.h>
#include <sanitizer/lsan_interface.h>

void __real_criterion_internal_test_main(void (*test)(void));
void __wrap_criterion_internal_test_main(void (*test)(void));

static void (*wrapped)(void);

static void run_and_look(void) {
        wrapped();
        cr_assert(__lsan_do_recoverable_leak_check() == 0, "memory was leaked, see meson-logs/sanitizer-*");
}

void __wrap_criterion_internal_test_main(void (*test)(void)) {
        wrapped = test;
        __real_criterion_internal_test_main(run_and_look);
}
