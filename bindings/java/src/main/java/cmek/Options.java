// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0
package cmek;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;

/**
 * How something is sealed or opened: {@code Options.name("orders/1").of(zone)}. It never changes; each method gives another one.
 *
 * @param name bound in when something is sealed, wanted when it is opened; null: none
 * @param embed messages: the zone's key record goes into each one
 * @param collection messages: which one of the database's, in clear; 0: none
 * @param zone the only one whose data are opened, of a client that is open; null: any
 * @param trustSize ranges: the object's end is not looked at first
 * @param replace a file takes the place of one that is there
 * @param threads files: in how many a large one is worked on, of which the calling one is one; 0: in that alone
 */
public record Options(byte[] name, boolean embed, long collection, Zone zone, boolean trustSize, boolean replace, long threads) {
    /** For {@link #threads}: as many as there are processors for the calling thread. */
    public static final long ALL_PROCESSORS = -1;

    /** An empty name is refused: it would bind nothing. */
    public Options {
        if (name != null && name.length == 0) {
            throw new IllegalArgumentException("an empty name binds nothing: leave it out");
        }
        if (threads < ALL_PROCESSORS) {
            throw new IllegalArgumentException("threads " + threads);
        }
    }

    /** Nothing special. */
    public static final Options NONE = new Options(null, false, 0, null, false, false, 0);

    /** With a name that is bound in: an object's path, a row's key. */
    public static Options name(String name) {
        return name(Native.bytes(name, StandardCharsets.UTF_8));
    }

    /** With a name that is no text. */
    public static Options name(byte[] name) {
        return new Options(name.clone(), false, 0, null, false, false, 0);
    }

    /** Opens data of that zone alone, which may be another client's, as long as that is open. */
    public Options of(Zone only) {
        return new Options(name, embed, collection, only, trustSize, replace, threads);
    }

    /** Lets a file take the place of one that is there. */
    public Options replacing() {
        return new Options(name, embed, collection, zone, trustSize, true, threads);
    }

    /** Puts the zone's key record into messages, so that a project with the same root key opens them without this store. */
    public Options embedding() {
        return new Options(name, true, collection, zone, trustSize, replace, threads);
    }

    /** Says in clear which one of the database's a message is of. */
    public Options collection(long number) {
        return new Options(name, embed, number, zone, trustSize, replace, threads);
    }

    /** Leaves out the look at an object's end before its first bytes are given. */
    public Options trustingSize() {
        return new Options(name, embed, collection, zone, true, replace, threads);
    }

    /** Has so many threads share a large file, of which the calling one is one. */
    public Options threads(long number) {
        return new Options(name, embed, collection, zone, trustSize, replace, number);
    }

    private MemorySegment named(Arena arena, long size) {
        MemorySegment c = arena.allocate(size, 8);
        c.set(JAVA_LONG, 0, size);
        if (name != null) {
            MemorySegment bytes = arena.allocate(name.length + 1L);
            MemorySegment.copy(name, 0, bytes, java.lang.foreign.ValueLayout.JAVA_BYTE, 0, name.length);
            c.set(ADDRESS, 8, bytes);
            c.set(JAVA_LONG, 16, name.length);
        }
        return c;
    }

    /** struct cmek_seal_options; NULL, of which all is 0. */
    MemorySegment toSeal(Arena arena) {
        if (this == NONE) {
            return MemorySegment.NULL;
        }
        MemorySegment c = named(arena, 48);
        c.set(JAVA_BOOLEAN, 24, embed);
        c.set(JAVA_LONG, 32, collection);
        c.set(JAVA_LONG, 40, threads);
        return c;
    }

    Zone.Wanted wanted() {
        return new Zone.Wanted(zone);
    }

    /** struct cmek_unseal_options, until {@code wanted} is closed. */
    MemorySegment toUnseal(Arena arena, Zone.Wanted wanted) {
        if (this == NONE) {
            return MemorySegment.NULL;
        }
        MemorySegment c = named(arena, 48);
        c.set(ADDRESS, 24, wanted.handle());
        c.set(JAVA_BOOLEAN, 32, trustSize);
        c.set(JAVA_LONG, 40, threads);
        return c;
    }
}
