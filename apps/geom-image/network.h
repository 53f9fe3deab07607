/* network.h -- a network of this process's own, with nothing in it but a loopback: every port is free there, what is
 * tried in it reaches nobody, and the address that settings name can be this machine's. */
#ifndef GEOM_IMAGE_NETWORK_H
#define GEOM_IMAGE_NETWORK_H

#include <stdbool.h>

/* network_enter -- leaves the machine's network for one with the loopback up.
 *   NETWORK_OWN
 *   NETWORK_SHARED  this process may not, and nothing changed
 *   NETWORK_BROKEN  neither; errno says why */
enum network { NETWORK_OWN, NETWORK_SHARED, NETWORK_BROKEN };
enum network network_enter(void);

/* network_add_address -- this IPv4 address is the loopback's, too. False: errno says why. */
bool network_add_address(const char *address);

#endif
