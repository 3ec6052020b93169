// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0
package cmek;

import static java.lang.foreign.ValueLayout.ADDRESS;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.file.Path;

/** A database: what is sealed in it, its key opens. There is nothing to close: it ends when nobody has it, or with its client. */
public final class Zone {
    private final Cmek client;
    private final MemorySegment handle;
    private final long id;
    private final String name;
    private final String project;

    Zone(Cmek client, MemorySegment handle) {
        this.client = client;
        this.handle = handle;
        id = Native.plain(() -> (long) Native.ZONE_ID.invokeExact(handle));
        name = Native.plain(() -> Native.text((MemorySegment) Native.ZONE_NAME.invokeExact(handle)));
        project = Native.plain(() -> Native.text((MemorySegment) Native.ZONE_PROJECT.invokeExact(handle)));
    }

    static MemorySegment open(Cmek client, String name) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment zone = arena.allocate(ADDRESS), text = Native.text(arena, name), of = client.handle();
            client.check(arena, error -> (int) Native.ZONE_OPEN.invokeExact(of, text, zone, error));
            return zone.get(ADDRESS, 0);
        }
    }

    Cmek client() {
        return client;
    }

    MemorySegment handle() {
        client.handle();
        return handle;
    }

    /** Its number, the same in every store that has it. */
    public long id() {
        return id;
    }

    /** CLUSTER/NAME when it was opened. */
    public String name() {
        return name;
    }

    /** The project it is of. */
    public String project() {
        return project;
    }

    @Override
    public String toString() {
        return project + ":" + name;
    }

    /** Seals a message of at most 64 MiB. */
    public byte[] seal(byte[] plain) throws IOException {
        return seal(plain, Options.NONE);
    }

    /** The same, as the options say. */
    public byte[] seal(byte[] plain, Options options) throws IOException {
        client.take();
        try (Arena arena = Arena.ofConfined()) {
            Native.Given given = Native.Given.of(arena, plain);
            MemorySegment length = given.length(), from = given.data();
            try {
                MemorySegment how = options.toSeal(arena);
                long room = Native.plain(() -> (long) Native.SEALED_SIZE.invokeExact(handle, (long) plain.length, how));
                MemorySegment out = arena.allocate(room);
                Native.check(given.error(), null,
                        error -> (int) Native.SEAL.invokeExact(handle, from, (long) plain.length, how, out, room, length, error));
                return given.taken(out);
            } finally {
                from.fill((byte) 0);
            }
        } finally {
            client.drop();
            Reference.reachabilityFence(this);
        }
    }

    /** {@code to} appears whole or not at all. */
    public void sealFile(Path from, Path to, Options options) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment in = Native.path(arena, from), out = Native.path(arena, to), how = options.toSeal(arena);
            client.check(arena, error -> (int) Native.SEAL_FILE.invokeExact(handle, in, out, options.replace(), how, error));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Writes sealed to {@code to} what is written to it. {@code SealedOutput.finish} writes the end: what was closed without it does
     * not open. {@code to} stays open.
     */
    public SealedOutput outputStream(OutputStream to, Options options) throws IOException {
        return new SealedOutput(this, to, options);
    }

    /** The zone that options want, for a call of C's, which reads it: its client, which may be another one than is called, is not freed meanwhile. */
    static final class Wanted implements AutoCloseable {
        private final Zone zone; // null: any

        Wanted(Zone zone) {
            this.zone = zone;
            if (zone != null) {
                zone.client.take();
            }
        }

        MemorySegment handle() {
            return zone == null ? MemorySegment.NULL : zone.handle;
        }

        @Override
        public void close() {
            if (zone != null) {
                zone.client.drop();
            }
            Reference.reachabilityFence(zone);
        }
    }

    /** What C has of one, once. */
    static void free(MemorySegment handle) {
        Native.plain(() -> {
            Native.ZONE_FREE.invokeExact(handle);
            return null;
        });
    }
}
