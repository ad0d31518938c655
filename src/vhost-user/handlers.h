/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/handlers.h - one function a message; the table in messages.c names them. */
#ifndef GW_VHOST_USER_HANDLERS_H
#define GW_VHOST_USER_HANDLERS_H

#include "vhost-user/messages.h"

/* handlers_features.c */
gw_vu_handler gw_handle_get_features;
gw_vu_handler gw_handle_set_features;
gw_vu_handler gw_handle_get_protocol_features;
gw_vu_handler gw_handle_set_protocol_features;
gw_vu_handler gw_handle_get_queue_num;
gw_vu_handler gw_handle_set_owner;
gw_vu_handler gw_handle_reset_owner;
gw_vu_handler gw_handle_reset_device;
gw_vu_handler gw_handle_set_backend_req_fd;

/* handlers_memory.c */
gw_vu_handler gw_handle_set_mem_table;
gw_vu_handler gw_handle_get_max_mem_slots;
gw_vu_handler gw_handle_add_mem_reg;
gw_vu_handler gw_handle_rem_mem_reg;

/* handlers_log.c */
gw_vu_handler gw_handle_set_log_base;
gw_vu_handler gw_handle_set_log_fd;

/* handlers_rings.c */
gw_vu_handler gw_handle_set_vring_num;
gw_vu_handler gw_handle_set_vring_addr;
gw_vu_handler gw_handle_set_vring_base;
gw_vu_handler gw_handle_get_vring_base;
gw_vu_handler gw_handle_set_vring_kick;
gw_vu_handler gw_handle_set_vring_call;
gw_vu_handler gw_handle_set_vring_err;
gw_vu_handler gw_handle_set_vring_enable;

/* handlers_config.c */
gw_vu_handler gw_handle_get_config;
gw_vu_handler gw_handle_set_config;

/* handlers_inflight.c */
gw_vu_handler gw_handle_get_inflight_fd;
gw_vu_handler gw_handle_set_inflight_fd;

/* handlers_suspend.c */
gw_vu_handler gw_handle_suspend;
gw_vu_handler gw_handle_resume;

/* handlers_state.c */
gw_vu_handler gw_handle_set_device_state_fd;
gw_vu_handler gw_handle_check_device_state;
gw_vu_handler gw_handle_get_device_state_pending;
gw_vu_handler gw_handle_cancel_device_state;

#endif
