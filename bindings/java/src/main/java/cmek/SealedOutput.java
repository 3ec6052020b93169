// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0
package cmek;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** Seals what is written. */
public final class SealedOutput extends OutputStream {
    private static final int PIECE = 1 << 16;
    private final Cmek client;
    private final OutputStream to;
    private final Native.Raised raised = new Native.Raised();
    private final Arena arena = Arena.ofShared();
    private final MemorySegment piece = arena.allocate(PIECE);
    private final byte[] through = new byte[PIECE];
    private final MemorySegment handle;
    private final Native.Turn turn = new Native.Turn();
    private int filled;
    private boolean closed;

    SealedOutput(Zone zone, OutputStream to, Options options) throws IOException {
        this.to = to;
        client = zone.client();
        client.take();
        boolean made = false;
        try (Arena call = Arena.ofConfined()) {
            MemorySegment place = call.allocate(ADDRESS), of = zone.handle(), how = options.toSeal(call);
            MemorySegment write = Native.upcall(this, "onWrite", Native.ON_WRITE, arena);
            Native.check(call, raised, error -> (int) Native.WRITER_NEW.invokeExact(of, how, write, MemorySegment.NULL, place, error));
            handle = place.get(ADDRESS, 0);
            made = true;
        } finally {
            if (!made) {
                arena.close();
                client.drop();
            }
        }
    }

    int onWrite(MemorySegment state, MemorySegment data, long length) {
        return raised.guard(() -> {
            MemorySegment all = data.reinterpret(length);
            for (long at = 0; at < length; at += PIECE) {
                int count = (int) Math.min(PIECE, length - at);
                MemorySegment.copy(all, JAVA_BYTE, at, through, 0, count);
                to.write(through, 0, count);
            }
        });
    }

    private void open() throws IOException {
        if (closed) {
            throw new IOException("the stream is closed");
        }
    }

    @Override
    public synchronized void write(int one) throws IOException {
        write(new byte[] {(byte) one}, 0, 1);
    }

    @Override
    public synchronized void write(byte[] data, int offset, int length) throws IOException {
        Objects.checkFromIndexSize(offset, length, data.length);
        open();
        for (int done = 0; done < length;) {
            int count = Math.min(length - done, PIECE - filled);
            MemorySegment.copy(data, offset + done, piece, JAVA_BYTE, filled, count);
            filled += count;
            done += count;
            if (filled == PIECE) {
                put();
            }
        }
    }

    private void put() throws IOException {
        long length = filled;
        turn.take();
        filled = 0;
        try (Arena call = Arena.ofConfined()) {
            Native.check(call, raised, error -> (int) Native.WRITER_PUT.invokeExact(handle, piece, length, error));
        } finally {
            turn.give();
        }
    }

    /** Writes the end. */
    @Override
    public synchronized void close() throws IOException {
        if (closed) {
            return;
        }
        turn.check();
        try {
            put();
            finish();
            to.flush();
        } finally {
            abandon();
        }
    }

    private void finish() throws IOException {
        turn.take();
        try (Arena call = Arena.ofConfined()) {
            Native.check(call, raised, error -> (int) Native.WRITER_FINISH.invokeExact(handle, error));
        } finally {
            turn.give();
        }
    }

    /** Ends it without an end: what was written does not open. After {@code close} it does nothing. */
    public synchronized void abandon() {
        if (!closed) {
            turn.check();
            closed = true;
            piece.fill((byte) 0);
            Native.plain(() -> {
                Native.WRITER_FREE.invokeExact(handle);
                return null;
            });
            arena.close();
            client.drop();
        }
    }
}
