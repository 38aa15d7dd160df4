"""Seeds that once failed, each with what was wrong."""

from __future__ import annotations

#: A change of what plans are made of changes what a seed means: then the dialogue tests named here still hold.
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
}
