// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0
package cmek;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/** A database: what is sealed in it, its key opens. It lives as long as its client, which closes it. */
public final class Zone {
    private final Cmek client;
    private final MemorySegment handle;
    private final long id;
    private final String name;
    private final String project;

    private Zone(Cmek client, MemorySegment handle) {
        this.client = client;
        this.handle = handle;
        id = Native.plain(() -> (long) Native.ZONE_ID.invokeExact(handle));
        name = Native.plain(() -> Native.text((MemorySegment) Native.ZONE_NAME.invokeExact(handle)));
        project = Native.plain(() -> Native.text((MemorySegment) Native.ZONE_PROJECT.invokeExact(handle)));
    }

    static Zone open(Cmek client, String name) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment zone = arena.allocate(ADDRESS), text = Native.text(arena, name), of = client.handle();
            client.check(arena, error -> (int) Native.ZONE_OPEN.invokeExact(of, text, zone, error));
            return new Zone(client, zone.get(ADDRESS, 0));
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
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment zone = handle(), how = options.toSeal(arena), length = arena.allocate(JAVA_LONG);
            MemorySegment from = arena.allocate(Math.max(plain.length, 1));
            MemorySegment.copy(plain, 0, from, JAVA_BYTE, 0, plain.length);
            long room = Native.plain(() -> (long) Native.SEALED_SIZE.invokeExact(zone, (long) plain.length, how));
            MemorySegment out = arena.allocate(room);
            try {
                client.check(arena,
                        error -> (int) Native.SEAL.invokeExact(zone, from, (long) plain.length, how, out, room, length, error));
            } finally {
                from.fill((byte) 0);
            }
            return out.asSlice(0, length.get(JAVA_LONG, 0)).toArray(JAVA_BYTE);
        }
    }

    /** {@code to} appears whole or not at all. */
    public void sealFile(Path from, Path to, Options options) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment zone = handle(), in = arena.allocateFrom(from.toString()), out = arena.allocateFrom(to.toString());
            MemorySegment how = options.toSeal(arena);
            client.check(arena, error -> (int) Native.SEAL_FILE.invokeExact(zone, in, out, options.replace(), how, error));
        }
    }

    /**
     * Writes sealed to {@code to} what is written to it. {@code SealedOutput.finish} writes the end: what was closed without it does
     * not open. {@code to} stays open.
     */
    public SealedOutput outputStream(OutputStream to, Options options) throws IOException {
        return new SealedOutput(this, to, options);
    }

    /** By the client, when that is closed. */
    void free() {
        Native.plain(() -> {
            Native.ZONE_FREE.invokeExact(handle);
            return null;
        });
    }
}
