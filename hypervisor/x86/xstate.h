// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include "hypervisor/x86/cpu.h"
