// SPDX-License-Identifier: BSD-2-Clause
// See tap_link.h.
#include "parent/worker/backends/tap_link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/vsp/net/backend.h"
#include "parent/worker/backends/linger.h"

static bool fail(struct failure *failure, const char *what, const char *name)
{
	return failure_set(
		failure, LUMEN_EXIT_OUR_FAULT, "%s %s: %s.", what, name, strerror(errno));
}

// An interface request about `name`, which fits.
static struct ifreq about(const char *name)
{
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return request;
}

static bool name_tap(int fd, struct ifreq *link)
{
	unsigned int tries = 0;

	link->ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	while (ioctl(fd, TUNSETIFF, link))
		if (errno != EBUSY || !linger(&tries))
			return false;
	return true;
}

static int make_tap(struct ifreq *link, struct failure *failure)
{
	const int header = sizeof(struct net_header);
	const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		fail(failure, "The network card's wire cannot be opened:", "/dev/net/tun");
		return -1;
	}
	if (name_tap(fd, link) && !ioctl(fd, TUNSETVNETHDRSZ, &header) &&
		!ioctl(fd, TUNSETOFFLOAD, 0))
		return fd;
	fail(failure, "The network card's TAP cannot be made:", link->ifr_name);
	close(fd);
	return -1;
}

static bool set_mtu(int socket, const char *bridge, const char *name, uint32_t *mtu)
{
	struct ifreq request = about(bridge);

	if (!*mtu) {
		if (ioctl(socket, SIOCGIFMTU, &request))
			return false;
		*mtu = (uint32_t)request.ifr_mtu;
	}
	request = about(name);
	request.ifr_mtu = (int)*mtu;
	return !ioctl(socket, SIOCSIFMTU, &request);
}

static bool join_bridge(int socket, const char *bridge, const char *name)
{
	struct ifreq port = about(name), request = about(bridge);

	if (ioctl(socket, SIOCGIFINDEX, &port))
		return false;
	request.ifr_ifindex = port.ifr_ifindex;
	return !ioctl(socket, SIOCBRADDIF, &request);
}

static bool set_up(int socket, const char *name)
{
	struct ifreq request = about(name);

	if (ioctl(socket, SIOCGIFFLAGS, &request))
		return false;
	request.ifr_flags |= IFF_UP;
	return !ioctl(socket, SIOCSIFFLAGS, &request);
}

static bool attach(const char *bridge, const char *name, uint32_t *mtu, struct failure *failure)
{
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool done;

	if (fd < 0)
		return fail(failure, "There is no socket for", name);
	if (!if_nametoindex(bridge))
		done = failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"There is no switch %s: no bridge of that name.", bridge);
	else if (!set_mtu(fd, bridge, name, mtu))
		done = fail(failure, "The MTU cannot be set of", name);
	else if (!join_bridge(fd, bridge, name))
		done = fail(failure, "The network card cannot be put on the switch", bridge);
	else
		done = set_up(fd, name) || fail(failure, "The link cannot be set up:", name);
	close(fd);
	return done;
}

int tap_link_open(const char *bridge, const uint8_t *mac, uint32_t *mtu, struct failure *failure)
{
	struct ifreq link;
	char name[IFNAMSIZ];
	int fd;

	snprintf(name, sizeof(name), "lu-%02x%02x%02x", mac[3], mac[4], mac[5]);
	link = about(name);
	fd = make_tap(&link, failure);
	if (fd < 0 || attach(bridge, name, mtu, failure))
		return fd;
	close(fd);
	return -1;
}
