// POST /score, /score_completions and /score_chat_completions: which peer holds how much of a prompt.
//
//   /score                   {"prompt": text or ids, "model"}, or a body of the two others, told apart by its members
//   /score_completions       a body of v1/completions
//   /score_chat_completions  a body of v1/chat/completions, or a ChatTemplateRequest ({"conversations": [...], ...})
//
// {PEER: score}; of chats {"pod_scores", "model", "rendered_template", "original_messages"}. "load_cost" in the query
// (?load_cost=0.5) takes so many blocks off for each request that a peer has.
#ifndef TOKFS_BRIDGE_SCORE_H
#define TOKFS_BRIDGE_SCORE_H

#include "tools/bridge/request_internal.h"

struct score_asked;

enum MHD_Result score_start(struct request *request);
void score_cancel(struct score_asked *asked); // its request has gone; NULL is accepted

#endif
