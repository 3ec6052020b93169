// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0
package cmek;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** Gives what is verified; the end too. */
final class SealedInput extends InputStream {
    private static final int PIECE = 1 << 16;
    private final Cmek client;
    private final InputStream from;
    private final Native.Raised raised = new Native.Raised();
    private final Arena arena = Arena.ofShared();
    private final MemorySegment piece = arena.allocate(PIECE);
    private final MemorySegment got = arena.allocate(JAVA_LONG);
    private final MemorySegment handle;
    private final Native.Turn turn = new Native.Turn();
    private int at;
    private int filled;
    private boolean closed;

    SealedInput(Cmek client, InputStream from, Options options) throws IOException {
        this.from = from;
        this.client = client;
        client.take();
        boolean made = false;
        try (Zone.Wanted wanted = options.wanted(); Arena call = Arena.ofConfined()) {
            MemorySegment place = call.allocate(ADDRESS), of = client.handle(), how = options.toUnseal(call, wanted);
            MemorySegment read = Native.upcall(this, "onRead", Native.ON_READ, arena);
            Native.check(call, raised, error -> (int) Native.READER_NEW.invokeExact(of, how, read, MemorySegment.NULL, place, error));
            handle = place.get(ADDRESS, 0);
            made = true;
        } finally {
            if (!made) {
                arena.close();
                client.drop();
            }
        }
    }

    int onRead(MemorySegment state, MemorySegment out, long room, MemorySegment length) {
        return raised.guard(() -> {
            byte[] data = new byte[(int) Math.min(room, PIECE)];
            int count = Math.max(from.read(data), 0);
            MemorySegment.copy(data, 0, out.reinterpret(room), JAVA_BYTE, 0, count);
            length.reinterpret(8).set(JAVA_LONG, 0, count);
        });
    }

    private boolean fill() throws IOException {
        if (closed) {
            throw new IOException("the stream is closed");
        }
        if (at < filled) {
            return true;
        }
        turn.take();
        try (Arena call = Arena.ofConfined()) {
            Native.check(call, raised, error -> (int) Native.READER_GET.invokeExact(handle, piece, (long) PIECE, got, error));
        } finally {
            turn.give();
        }
        at = 0;
        filled = (int) got.get(JAVA_LONG, 0);
        return filled > 0;
    }

    @Override
    public synchronized int read() throws IOException {
        return fill() ? piece.get(JAVA_BYTE, at++) & 0xff : -1;
    }

    @Override
    public synchronized int read(byte[] out, int offset, int length) throws IOException {
        Objects.checkFromIndexSize(offset, length, out.length);
        if (length == 0) {
            return 0;
        }
        if (!fill()) {
            return -1;
        }
        int count = Math.min(length, filled - at);
        MemorySegment.copy(piece, JAVA_BYTE, at, out, offset, count);
        at += count;
        return count;
    }

    /** Waits for a read that is under way in another thread. */
    @Override
    public synchronized void close() {
        if (!closed) {
            turn.check();
            closed = true;
            piece.fill((byte) 0);
            Native.plain(() -> {
                Native.READER_FREE.invokeExact(handle);
                return null;
            });
            arena.close();
            client.drop();
        }
    }
}
