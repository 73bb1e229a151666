// SPDX-License-Identifier: BSD-2-Clause
// Around the prototypes of each header, so that kernels in C++ link them by their names in C.
#ifndef LUMEN_DECLS_H
#define LUMEN_DECLS_H

#ifdef __cplusplus
#define LUMEN_DECLS_BEGIN extern "C" {
#define LUMEN_DECLS_END	  }
#else
#define LUMEN_DECLS_BEGIN
#define LUMEN_DECLS_END
#endif

#endif
