// How addresses are written on the command line. Nothing is looked up.
#ifndef TOKFS_BRIDGE_ADDRESS_H
#define TOKFS_BRIDGE_ADDRESS_H

#include "engine/base/str.h"

#define ADDRESS_HOST_MAX 256

// HOST:PORT or [HOST]:PORT, the host without its brackets; PORT from 0. Whether it is one.
bool address_split(struct str text, struct str *ret_host, unsigned *ret_port);
bool address_is_peer(struct str text); // [http[s]://]HOST:PORT[/]
bool address_is_zmq(struct str text);  // tcp://HOST:PORT, ipc://PATH or inproc://NAME

#endif
