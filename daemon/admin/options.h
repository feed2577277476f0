/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Command line and environment of givc-admin: the deployed admin's, and a few of our own. */

#include "util.h"

/* A daemon listens on a handful of addresses. */
#define OPTIONS_LISTEN_MAX 32

/* Texts are argv's and the environment's, but those of the certificates, which are ours. */
struct options {
        const char *listen[OPTIONS_LISTEN_MAX]; /* addresses as rpc_address_parse() reads them */
        size_t n_listen;
        bool use_tls;
        char *ca_cert, *host_cert, *host_key; /* paths; with TLS none is NULL */
        const char *state_directory;          /* where settings of the fleet are kept; not NULL */
        const char *host_identity;            /* who alone may be the host; NULL: the first that comes */
        bool debug;

        bool access_control;        /* then cedar_file is not NULL */
        const char *cedar_file;     /* rules */
        const char *cedar_entities; /* and what is in what; NULL: nothing is */
        bool audit_permits;

        bool monitoring;
        bool policy_admin;         /* then policy_config is not NULL */
        const char *policy_config; /* JSON: policies_new() */
        const char *policy_store;  /* a directory; NULL: the deployed one */
        const char *services;      /* taken, since deployed command lines have it, and without effect */
};

/*
 * Reads argv, and of the environment what argv does not say. 1: go on; 0: --help or --version was answered;
 * -EINVAL: what is wrong was said on standard error; -ENOMEM.
 */
int options_parse(struct options *options, int argc, char **argv);
void options_clear(struct options *options);
