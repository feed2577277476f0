/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names by which the admin knows applications. */
#include "application.h"

#include <criterion/criterion.h>

Test(application, names) {
        char name[202];

        memset(name, 'x', sizeof(name));
        name[201] = '\0';
        cr_expect_not(application_name_is_valid(name));
        name[200] = '\0';
        cr_expect(application_name_is_valid(name));
        cr_expect(application_name_is_valid("Google-chrome_2"));
        cr_expect_not(application_name_is_valid(""));
        cr_expect_not(application_name_is_valid("a@0"));
        cr_expect_not(application_name_is_valid("a b"));
        cr_expect_not(application_name_is_valid("../a"));
}

Test(application, numbers_of_instances) {
        cr_expect_eq(application_instance_number("a@0.service"), 0);
        cr_expect_eq(application_instance_number("a-b@8000.service"), 8000);
        cr_expect_eq(application_instance_number("a@8001.service"), -EINVAL);
        cr_expect_eq(application_instance_number("a@99999999999999999999.service"), -EINVAL);
        cr_expect_eq(application_instance_number("a@.service"), -EINVAL);
        cr_expect_eq(application_instance_number("a@x.service"), -EINVAL);
        cr_expect_eq(application_instance_number("a@1.socket"), -EINVAL);
        cr_expect_eq(application_instance_number("a.service"), -EINVAL);
}

Test(application, which_are_meant) {
        static const struct {
                const char *unit, *name;
                bool meant;
        } cases[] = {
                { "a@0.service", "a@0.service", true },
                { "a@10.service", "a@1.service", false },
                { "a@10.service", "a@", true },
                { "a@10.service", "a@1", true },
                { "a@10.service", "a", true },
                { "ab@0.service", "a", false },
                { "ab@0.service", "a@", false },
                { "a@0.service", "@", false },
                { "a@0.service", "", false },
                { "a@0.service", "a@0.service.service", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                cr_expect_eq(application_is_meant(cases[i].unit, cases[i].name), cases[i].meant, "%s, %s",
                                cases[i].unit, cases[i].name);
}
