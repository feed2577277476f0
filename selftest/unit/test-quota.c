/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Shares of what there is: nobody takes all, whoever comes later finds room, and what is given back is there
 * again. */
#include "quota.h"

#include <criterion/criterion.h>

static struct quota *make(size_t all, size_t each) {
        struct quota_limit limits[_QUOTA_RESOURCE_MAX];
        struct quota *quota;

        for (size_t i = 0; i < ELEMENTSOF(limits); i++)
                limits[i] = (struct quota_limit){ .all = all, .each = each };
        cr_assert_eq(quota_new(&quota, NULL, limits), 0);
        return quota;
}

static struct quota_account *account(struct quota *quota, const char *name, bool identified) {
        struct quota_account *ret;

        cr_assert_eq(quota_account_get(quota, name, identified, &ret), 0);
        return ret;
}

Test(quota, half_of_what_the_others_leave) {
        struct quota *quota = make(100, 100);
        struct quota_account *a = account(quota, "a", true), *b = account(quota, "b", true);
        struct quota_charge of_a = {}, of_b = {};

        cr_assert_eq(quota_charge(a, QUOTA_BYTES, 51, &of_a), -EDQUOT);
        cr_assert_eq(of_a.n, 0);
        cr_assert_eq(quota_charge(a, QUOTA_BYTES, 50, &of_a), 0);
        cr_assert_eq(quota_charge(b, QUOTA_BYTES, 26, &of_b), -EDQUOT);
        cr_assert_eq(quota_charge(b, QUOTA_BYTES, 25, &of_b), 0);
        /* What was granted before others came may be kept and given back, but does not grow. */
        cr_assert_eq(quota_charge(a, QUOTA_BYTES, 51, &of_a), -EDQUOT);
        cr_assert_eq(quota_charge(a, QUOTA_BYTES, 45, &of_a), 0);
        cr_assert_eq(quota_charge(a, QUOTA_BYTES, 38, &of_a), 0);
        cr_assert_eq(quota_charge(b, QUOTA_BYTES, 31, &of_b), 0);
        cr_assert_eq(quota_refused(quota, QUOTA_BYTES), 3);
        cr_assert_eq(quota_refused(quota, QUOTA_STREAMS), 0);
        quota_release(&of_a);
        quota_release(&of_a);
        cr_assert_eq(quota_used(quota, QUOTA_BYTES), 31);
        quota_release(&of_b);
        quota_account_unref(a);
        quota_account_unref(b);
        quota_unref(quota);
}

Test(quota, as_many_as_come_find_room) {
        struct quota *quota = make(1000, 16);
        struct quota_charge charges[40] = {};

        for (unsigned i = 0; i < ELEMENTSOF(charges); i++) {
                char name[] = { (char) ('a' + i / 10), (char) ('0' + i % 10), '\0' };
                struct quota_account *one = account(quota, name, false);

                for (size_t n = 1; n <= 16; n++)
                        cr_assert_eq(quota_charge(one, QUOTA_CONNECTIONS, n, &charges[i]), 0);
                cr_assert_eq(quota_charge(one, QUOTA_CONNECTIONS, 17, &charges[i]), -EDQUOT);
                quota_account_unref(one);
        }
        for (unsigned i = 0; i < ELEMENTSOF(charges); i++)
                quota_release(&charges[i]);
        cr_assert_eq(quota_used(quota, QUOTA_CONNECTIONS), 0);
        quota_unref(quota);
}

Test(quota, the_last_one_is_somebodys) {
        struct quota *quota = make(1, 1);
        struct quota_account *a = account(quota, "a", true);
        struct quota_charge charge = {};

        cr_assert_eq(quota_charge(a, QUOTA_WATCHERS, 1, &charge), 0);
        quota_account_unref(a);
        /* The charge keeps the account, and the account the quota. */
        quota_unref(quota);
        quota_release(&charge);
}

Test(quota, trusted_and_by_kind) {
        struct quota *quota = make(800, 10);
        struct quota_account *trusted, *same, *address;
        struct quota_charge charge = {}, other = {};

        cr_assert_eq(quota_trust(quota, "admin-vm"), 0);
        trusted = account(quota, "admin-vm", true);
        same = account(quota, "admin-vm", true);
        address = account(quota, "admin-vm", false);
        cr_assert_eq(trusted, same);
        cr_assert_neq(trusted, address, "an address that calls itself as an identity is not it");
        cr_assert_eq(quota_charge(trusted, QUOTA_STREAMS, 701, &charge), -EDQUOT);
        cr_assert_eq(quota_charge(trusted, QUOTA_STREAMS, 700, &charge), 0);
        cr_assert_eq(quota_charge(address, QUOTA_STREAMS, 11, &other), -EDQUOT);
        cr_assert_eq(quota_charge(address, QUOTA_STREAMS, 10, &other), 0);
        quota_release(&charge);
        quota_release(&other);
        quota_account_unref(trusted);
        quota_account_unref(same);
        quota_account_unref(address);
        quota_unref(quota);
}

Test(quota, another_is_trusted_who_is_there_already) {
        struct quota *quota = make(800, 10);
        struct quota_account *former, *new;
        struct quota_charge charge = {};

        cr_assert_eq(quota_trust(quota, "former"), 0);
        former = account(quota, "former", true);
        new = account(quota, "new", true);
        cr_assert_eq(quota_trust(quota, "new"), 0);
        cr_expect_eq(quota_share(former, QUOTA_STREAMS), 10);
        cr_expect_eq(quota_share(new, QUOTA_STREAMS), 700);
        cr_expect_eq(quota_account_spend(former, USEC_PER_SEC), QUOTA_RANK_LAST);
        cr_expect_eq(quota_account_spend(new, USEC_PER_SEC), QUOTA_RANK_FIRST);
        /* What it has is still its own to give back. */
        cr_assert_eq(quota_charge(new, QUOTA_STREAMS, 700, &charge), 0);
        cr_assert_eq(quota_trust(quota, NULL), 0);
        cr_expect_eq(quota_charge(new, QUOTA_STREAMS, 699, &charge), 0);
        quota_release(&charge);
        quota_account_unref(former);
        quota_account_unref(new);
        quota_unref(quota);
}

Test(quota, who_takes_the_loop_stands_back) {
        struct quota *quota = make(1, 1);
        struct quota_account *a = account(quota, "a", true), *trusted;

        cr_assert_eq(quota_account_spend(a, 100), QUOTA_RANK_FIRST);
        cr_assert_eq(quota_account_spend(a, 10 * USEC_PER_MSEC), QUOTA_RANK_SECOND);
        cr_assert_eq(quota_account_spend(a, USEC_PER_SEC), QUOTA_RANK_LAST);
        cr_assert_eq(quota_trust(quota, "t"), 0);
        trusted = account(quota, "t", true);
        cr_assert_eq(quota_account_spend(trusted, USEC_PER_SEC), QUOTA_RANK_FIRST);
        quota_account_unref(a);
        quota_account_unref(trusted);
        quota_unref(quota);
}

Test(quota, who_leaves_and_comes_again_is_no_other) {
        struct quota *quota = make(1, 1);
        struct quota_account *a = account(quota, "a", true), *b = account(quota, "b", true), *address,
                             *trusted;
        unsigned n = 0;

        while (ratelimit_pass(quota_account_resets(a), NULL))
                n++;
        cr_assert_gt(n, 100);
        cr_assert_eq(quota_account_spend(a, USEC_PER_SEC), QUOTA_RANK_LAST);
        quota_account_unref(a);
        a = account(quota, "a", true);
        cr_assert_not(ratelimit_pass(quota_account_resets(a), NULL));
        cr_assert_eq(quota_account_spend(a, 0), QUOTA_RANK_LAST);
        cr_assert(ratelimit_pass(quota_account_resets(b), NULL));

        address = account(quota, "a", false);
        cr_assert_null(quota_account_resets(address));
        cr_assert_eq(quota_trust(quota, "t"), 0);
        trusted = account(quota, "t", true);
        for (unsigned i = 0; i < 2 * n; i++)
                cr_assert(ratelimit_pass(quota_account_resets(trusted), NULL));
        quota_account_unref(address);
        quota_account_unref(trusted);
        quota_account_unref(a);
        quota_account_unref(b);
        /* Those that were left go with it. */
        quota_unref(quota);
}
