"""The promises of Frontdesk, and the tests that try to break each of them.

`tests/faults` names campaigns of `python -m tests.faults`; the others name a test each.

1. 202 means kept.
    tests/faults: store everysec, store always, failover, full disks
    tests/receiver/storage/keep/test_keep_or_spool.py::test_what_was_answered_is_in_the_store_at_the_end
    tests/receiver/storage/keep/test_group_commit.py::test_what_is_kept_already_has_to_be_confirmed_too
    tests/receiver/cli/processes/test_serve.py::test_an_outage_and_a_kill_lose_nothing
2. An authentic request is never refused for our faults.
    tests/faults: network, full disks
    tests/receiver/storage/keep/test_keep_or_spool.py::test_nobody_waits_for_the_store
    tests/receiver/storage/keep/test_keep_or_spool.py::test_a_full_server_is_not_filled_further
    tests/receiver/web/test_bad_input.py::test_what_cannot_be_read_is_set_aside
    tests/fuzz/test_fuzz.py::test_the_door_holds_and_keeps_what_it_took
3. Nothing is lost, nothing is silently dropped.
    tests/faults: every one
    tests/receiver/storage/accounting/test_stateful.py::test_nothing_is_lost_whatever_happens
    tests/receiver/storage/queue/test_timed_stateful.py::test_whatever_waits_for_its_time_is_the_newest
    tests/receiver/storage/accounting/test_audit.py::test_everything_is_counted_as_what_it_is
    tests/receiver/storage/accounting/test_audit.py::test_live_traffic_is_never_accused
    tests/receiver/cli/events/test_drain.py::test_a_silent_spool_is_shown_and_can_be_forgotten
4. At least once, and no more than needed.
    tests/faults: receiver, two receivers, worker, clocks
    tests/receiver/storage/model/test_keep_script.py::test_an_event_that_arrives_again_within_the_window_is_a_duplicate
    tests/workers/test_work.py::test_a_whole_fleet_killed_is_recovered_by_another
    tests/workers/test_work.py::test_a_record_that_the_store_forgot_is_recorded_again
    tests/workers/test_timed.py::test_the_last_word_of_each_booking_holds_while_workers_are_killed
    tests/workers/parent/test_mixed_fleet.py::test_deliveries_end_once_whoever_runs_them
5. A failing handler harms only itself.
    tests/workers/test_work.py::test_a_handler_that_hangs_is_recorded_as_timed_out_and_harms_no_neighbour
    tests/workers/test_work.py::test_a_handler_that_kills_its_process_is_poison_and_nobody_else_is
    tests/workers/test_work.py::test_memory_exhaustion_in_a_handler_is_a_failure_like_any_other
    tests/receiver/operations/test_replay.py::test_dead_deliveries_revive_under_the_same_event
6. Registrations converge.
    tests/receiver/registrar/test_plan.py::test_from_any_state_one_plan_converges
    tests/receiver/registrar/test_apply.py::test_a_fault_at_every_call_changes_nothing_in_the_end
    tests/receiver/registrar/test_apply.py::test_another_host_with_our_keys_is_left_alone_until_it_is_moved
    tests/receiver/registrar/test_watch.py::test_disabled_hooks_come_back_when_the_receiver_is_reachable
7. Only Nexudus gets in.
    tests/faults: forgeries
    tests/receiver/web/test_hook_endpoint.py::test_a_stranger_learns_nothing
    tests/receiver/nexudus/test_signature.py::test_verify_knows_both_readings
    tests/fuzz/test_fuzz.py::test_a_parser_holds
    tests/test_secrecy.py::test_nothing_tells_what_it_must_not
    tests/test_secrecy.py::test_nothing_is_ever_unpickled
    tests/workers/handlers/test_forward.py::test_a_name_that_is_rebound_to_a_private_address_is_refused_from_then_on
8. A deploy loses nothing.
    tests/faults: receiver, worker, rolling deploy
    tests/receiver/cli/processes/test_serve.py::test_sigterm_under_load_loses_nothing
    tests/workers/test_work.py::test_sigterm_finishes_what_runs_and_gives_back_what_was_only_held
    tests/deploy/test_upgrade.py::test_both_versions_side_by_side
9. What no hook brought is found.
    tests/test_nothing_missed.py::test_handlers_see_all_that_happened_each_once
    tests/receiver/cli/registrar/test_killed.py::test_killed_at_any_call_nothing_is_missed_and_nothing_is_made_twice
    tests/receiver/cli/registrar/test_night.py::test_a_night_is_made_good
    tests/receiver/registrar/test_gap_rules.py::test_a_gap_that_begins_like_the_one_before_is_another_one
    tests/receiver/reconcile/search/test_early_updates.py::test_a_change_within_seconds_of_the_creation_is_told_by_the_audit_trail
    tests/receiver/registrar/test_gap_rules.py::test_a_gap_opens_at_the_last_good_look_and_closes_at_the_next
    tests/receiver/reconcile/test_backfill_run.py::test_what_happened_in_a_gap_becomes_events_each_once
    tests/receiver/reconcile/test_backfill_run.py::test_cut_off_anywhere_it_makes_nothing_twice
    tests/receiver/reconcile/test_hostile.py::test_a_search_that_cannot_be_believed_makes_nothing
"""
