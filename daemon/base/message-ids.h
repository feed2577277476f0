/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * MESSAGE_ID= of what an operator acts on (journalctl -x explains each: units/givc.catalog). An id never
 * changes its meaning; a new meaning gets a new one.
 */

#define GIVC_MESSAGE_AGENT_REGISTERED     "fbc0af0cb84449f9a1054fb84d8d9cf8"
#define GIVC_MESSAGE_AGENT_LOST           "e62a4230036242c0a493ddabcbcb06cd"
#define GIVC_MESSAGE_AGENT_BACK           "b58f6c21cdc64d61a958c67e127aca30"
#define GIVC_MESSAGE_AGENT_REMOVED        "022ecba92c6e46659d3e2ac89c51daee"
#define GIVC_MESSAGE_REGISTRATION_REFUSED "fe144188a7a84f498b985f4913a0d051"
#define GIVC_MESSAGE_CERTIFICATE_REFUSED  "f257f0ba8ae645e79e05f5b29b4d65e9"
#define GIVC_MESSAGE_ACCESS_CONTROL_OFF   "f9f7adb3d4b64fb2ad01caaa8e04bc18"
#define GIVC_MESSAGE_ADMIN_REFUSES        "57da920828f0b396cd41a01ae3cf9a6a"
#define GIVC_MESSAGE_SETTING_REFUSED      "9ce1fc112f4c4c5492ee344d9841b9c7"
#define GIVC_MESSAGE_CONFIGURATION_KEPT   "3c3dbd1587a9d426efd66443c6f41ba8"
#define GIVC_MESSAGE_VM_CRASHED           "e3cd13acb4974cd0b466a902fc6186a5"
#define GIVC_MESSAGE_VM_RECOVERED         "80351d355c3f441ab7c4eae3be30e378"
#define GIVC_MESSAGE_VM_GIVEN_UP          "beb25de737f54b4d9eea4bc7ba916d3b"
#define GIVC_MESSAGE_APPLICATION_ENDED    "cef83ae352a04794ba313c7ae2b8ef51"
#define GIVC_MESSAGE_APPLICATION_FAILED   "4fee29713cb54a3eab0be26e9d33d8fb"
#define GIVC_MESSAGE_RULES_LOADED         "4d227c2a415c4fd18b95d1f9ee5de3cf"
#define GIVC_MESSAGE_RULES_KEPT           "09330edb7ace433db140365fe2ec73ef"
#define GIVC_MESSAGE_CALL_DENIED          "4b1cccf724774356af9309b0b297ee0d"
#define GIVC_MESSAGE_CALL_PERMITTED       "a3a0c7ad242e400cb816853b47b47c83"
#define GIVC_MESSAGE_POLICY_INSTALLED     "bfdceba476384ae59367ab27efd73490"
#define GIVC_MESSAGE_POLICY_REFUSED       "20cbf6f4bc8c47f981561f2e7a1aa31e"
#define GIVC_MESSAGE_POLICY_NOT_TAKEN     "027d3569b3b241f7b807f8f2a684837b"
#define GIVC_MESSAGE_LIMIT                "3a410add07bc4d68ab4776a24bb9ec79"
#define GIVC_MESSAGE_POLICY_NOT_FETCHED   "9ddfead2aead4a5398f54d2abab02a55"
