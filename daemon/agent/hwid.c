/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hwid.h"
#include "call.h"

#include "hwid.pb-c.h"

#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_MAX sizeof("00:00:00:00:00:00")

static void free_names(struct if_nameindex **names) {
        if (*names)
                if_freenameindex(*names);
}

/* The kernel lists them by index: the first is the one that has been there longest. */
static bool find_first(const char *prefix, char name[static IF_NAMESIZE]) {
        _cleanup_(free_names) struct if_nameindex *names = if_nameindex();

        for (size_t i = 0; names && names[i].if_name; i++)
                if (startswith(names[i].if_name, prefix)) {
                        snprintf(name, IF_NAMESIZE, "%s", names[i].if_name);
                        return true;
                }
        return false;
}

/* 0; -ENODEV: there is no such interface; -ENETDOWN: its link is down; -EMEDIUMTYPE: it has no such address.
 */
static int read_address(const char *name, char text[static ADDRESS_TEXT_MAX]) {
        _cleanup_(closep) int fd = -1;
        struct ifreq request = {};
        const uint8_t *bytes = (const uint8_t *) request.ifr_hwaddr.sa_data;

        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
        if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
                return -errno;
        if (!(request.ifr_flags & IFF_UP) || !(request.ifr_flags & IFF_RUNNING))
                return -ENETDOWN;
        if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
                return -errno;
        if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
                return -EMEDIUMTYPE;
        snprintf(text, ADDRESS_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2],
                        bytes[3], bytes[4], bytes[5]);
        return 0;
}

static void fail(struct rpc_call *call, const char *name, int error) {
        switch (-error) {
        case ENODEV:
                rpc_call_fail(call, RPC_FAILED_PRECONDITION, "there is no network interface %s", name);
                break;
        case ENETDOWN:
                rpc_call_fail(call, RPC_FAILED_PRECONDITION, "the link of %s is down", name);
                break;
        case EMEDIUMTYPE:
                rpc_call_fail(call, RPC_FAILED_PRECONDITION, "%s has no Ethernet address", name);
                break;
        default:
                rpc_call_fail(call, RPC_INTERNAL, "cannot read the address of %s: %s", name,
                                strerror(-error));
        }
}

static void get_hwid(struct rpc_call *call, _unused_ const ProtobufCMessage *message, void *userdata) {
        Hwid__HwIdResponse response = HWID__HW_ID_RESPONSE__INIT;
        const struct manager *manager = userdata;
        char text[ADDRESS_TEXT_MAX], name[IF_NAMESIZE];
        int r;

        if (manager->config.hwid.interface)
                snprintf(name, sizeof(name), "%s", manager->config.hwid.interface);
        else if (!find_first("wl", name) && !find_first("en", name)) {
                rpc_call_fail(call, RPC_FAILED_PRECONDITION, "there is no network interface wl* or en*");
                return;
        }
        r = read_address(name, text);
        if (r < 0) {
                fail(call, name, r);
                return;
        }
        response.identifier = text;
        rpc_call_reply(call, &response.base);
}

static const struct rpc_method methods[] = {
        { .name = "GetHwId", .handle = get_hwid },
};

const struct rpc_service hwid_service = {
        .descriptor = &hwid__hwid_service__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};
