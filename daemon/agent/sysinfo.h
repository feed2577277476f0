/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * StatsService.GetSysinfo: which Ghaf this is, whether the firmware checks what it boots, whether a disk is
 * encrypted. What cannot be known is left out.
 */

#include "server.h"

#include <systemd/sd-event.h>

/*
 * Answers the call, when the program ghaf-version has said its line; where there is no such program, that is
 * the first line of /etc/ghaf-version, or empty.
 */
void sysinfo_answer(struct rpc_call *call, sd_event *event);

/*
 * By the variables of UEFI, below efi ("/sys/firmware/efi"). 1, 0, or a negative errno: -ENOENT where the
 * machine was not started by UEFI. In setup mode nothing is enforced, so that is 0.
 */
int sysinfo_secure_boot(const char *efi);
/* Whether a block device below class ("/sys/class/block") is one of dm-crypt: 1, 0, or a negative errno. */
int sysinfo_disk_encrypted(const char *class);
