/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a life by chance. */
#pragma once

#include "tests/support/life_world.h"

/* Something to begin with, so that few runs are about nothing. */
void life_settle_down(struct life_world *w);
/* Any step, by that process: what comes of it is what the model expects. */
void life_take_step(struct life_world *w, int process);
/* For the fake KMS: the rival's step, if there is one. `state`: the world. */
void life_come_between(void *state, enum fake_kms_call call);
/* How often each was done and refused. */
void life_tell_figures(const struct life_world *w);
