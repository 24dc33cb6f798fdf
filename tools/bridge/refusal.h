// Answers in place of the library's pages for what it refuses by itself.
#ifndef TOKFS_BRIDGE_REFUSAL_H
#define TOKFS_BRIDGE_REFUSAL_H

#include <microhttpd.h>

typedef enum MHD_Result (*refusal_queue)(struct MHD_Connection *connection, unsigned status,
                                         struct MHD_Response *response);
// The library's MHD_queue_response, whose place the program's own takes. NULL: it has none.
refusal_queue refusal_library_queue(void);

#endif
