"""Seeds that once failed, each with what was wrong: in the driver mostly, in the model where it says so."""

from __future__ import annotations

#: Those from before plans had more (``plan._with_more``), which they go without: so each is still the run that failed.
#: Another change of what plans are made of changes what a seed means: then the dialogue tests named here still hold.
SEEDS = {
    91: "a slow module that refuses commands was probed for ever (test_bring_up: answers_late)",
    135: "the AT that looked for the module became payload of a stuck data-mode send (test_links: raw_send)",
    206: "a clean end though data was written before it was told (test_links: writing_before_the_end)",
    282: "a rate at which the module said ERROR was left (test_bring_up: rate_that_gives_an_error)",
    295: "a refused QICLOSE left a socket open (test_links: refused_close)",
    516: "a deadline that passed while something else happened was forgotten (test_bring_up: deadline_that_passes)",
    540: "the same, of a command",
    642: "a clean end was guessed when the network was lost (test_links: end_is_not_guessed)",
    669: "the same while an opening had the line for itself",
    2570: "a refused AT+QISTATE? left the sockets of an earlier program open (test_bring_up: orphans_are_asked)",
    3453: "a module that was still busy was asked to close twice at once (test_links: refused_close)",
    3565: "a clean end was guessed (test_links: end_is_not_guessed)",
    1186: "the same from a garbled answer",
    5627: "the same when the question was refused three times (test_links: end_is_not_guessed)",
    5932: "a data mode that the module denied with ERROR was not escaped from (test_links: data_mode_that)",
    6013: "a clean end was guessed though the peer had sent RST",
    10052: "the answers to the ATs that woke a slow module were taken for later ones (test_bring_up: slow_module)",
    10281: "an orphan whose close was refused stayed open (test_bring_up: orphans_are_asked_for_again)",
    12300: "an opening began while the module was at one that had been given up (test_links: given_up_opening)",
    22200: "the simulator let a connection that the network had forgotten hear its peer's FIN (sim/test_send)",
    30778: "received data that had run into an error result was taken for its text (at/test_chat: swallowed)",
    102343: "a data mode left by a killed program was escaped from at two rates only (test_bring_up: escaped_from)",
    102812: "a stream was reset because a busy module refused to tell its count (test_links: count_that_a_busy)",
    200842: "a recv URC that had lost three letters of its type was taken for another (at/test_framing: type_of_which)",
    60971: "quotes were learned from a text inside a wreck, for ever (at/test_framing: learned_from_a_wreck)",
    303249: "a socket that had refused closes was in the way of a connect (test_links: error_has_no_number)",
    402083: "model: a slow radio had more to send than went through in TCP_USER_TIMEOUT",
    402227: "a prompt behind a stalled payload was answered too late (at/test_chat: prompt_behind_a_stalled)",
    403468: "a garbled quote moved a first text by one byte (at/test_framing: opening quote garbled)",
    408554: "a text whose header was garbled held what looked like a datagram (at/test_framing: among_the_wreck)",
    409815: "the simulator took longer to SEND OK than the manual allows",
    410160: "the same as 408554",
    420860: "model: a slow radio had so much to send that an opening took too long",
    424281: "model: a program was killed just before its data-mode send began",
}

#: Those that failed since.
LATER_SEEDS = {
    232: "a second AT+QIOPEN of the user's for one socket freed its id (test_requests: opened_again)",
    366: "an opening began while the module was at one of the user's (test_requests: outcome_of_a_raw_one)",
    71158: "a wait for a socket ran out when there was one (test_links: wait_for_a_socket)",
    500852: "model: a garbled answer to AT+QISTATE? leaves an orphan open until its id is wanted",
    502229: "a raw AT+QICLOSE took the outcome of a look-up (test_requests: outcomes_of_others)",
    602043: "model: a restart took what was on its way to a peer that had closed its side",
    603167: "a clean end was guessed from answers that were one behind (test_links: one_behind)",
    605899: "a look-up was refused while the module was at an opening of the user's (test_requests: raw_one)",
    701214: "late answers after a change of the rate were taken for later ones (test_baudrate: slow_module)",
    801850: "a ping was refused while an opening that was given up was not closed yet (test_links: given_up_opening)",
    900515: "model: a strict module that was taken for free refused both closes",
    906058: "a recv URC without its id was taken for another connection's: a silent gap (at/test_framing: no id and)",
    1001087: "model: a refused opening of the user's took a connection's id from the model",
    1004119: "a slow module was given up that had a dozen AT to answer first (test_links: slow_module)",
    1007949: "model: the outcome of a killed program's look-up was taken for another's",
    1019213: "a stray SEND OK was found out after 120 s (test_links: count_other_than_what_was_sent)",
    1020628: "model: a datagram came while the rate of the line was changed",
    1024191: "two sockets that had refused closes were in the way of a connect (test_links: error_has_no_number)",
}
