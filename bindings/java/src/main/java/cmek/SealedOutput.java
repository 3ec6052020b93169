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

/**
 * Seals what is written. It is whole when {@code finish} was called, and not before: {@code close} alone can't know whether the block
 * that it ends went well.
 *
 * <pre>{@code
 * try (SealedOutput sealed = zone.outputStream(out, Options.NONE)) {
 *     in.transferTo(sealed);
 *     sealed.finish();
 * }
 * }</pre>
 *
 * A stream that is put around it ({@code ZipOutputStream}) is finished or flushed before, and closed never.
 */
public final class SealedOutput extends OutputStream {
    private static final int PIECE = 1 << 16;
    private final Cmek client;
    private final OutputStream to;
    private final Zone zone; // C writes by it, as long as the arena calls this
    private final Native.Raised raised = new Native.Raised();
    private final Arena arena = Arena.ofShared();
    private final MemorySegment piece = arena.allocate(PIECE);
    private final byte[] through = new byte[PIECE];
    private final MemorySegment handle;
    private final Native.Turn turn = new Native.Turn();
    private int filled;
    private boolean failed; // a call threw: who called knows
    private boolean finished;
    private boolean closed;

    SealedOutput(Zone zone, OutputStream to, Options options) throws IOException {
        this.to = to;
        this.zone = zone;
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
        if (failed) {
            throw new IOException("the stream has failed before; begin another");
        }
    }

    /** What failed once has no end any more. */
    private void told(Native.Told call) throws IOException {
        turn.take();
        boolean before = failed;
        failed = true;
        try (Arena arena = Arena.ofConfined()) {
            Native.check(arena, raised, call);
            failed = before;
        } finally {
            turn.give();
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
        if (finished) {
            throw new IOException("the stream has its end");
        }
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
        filled = 0;
        told(error -> (int) Native.WRITER_PUT.invokeExact(handle, piece, length, error));
    }

    /** Writes the end: what was written so far is whole from now on, and nothing more can be. Once is enough. */
    public synchronized void finish() throws IOException {
        open();
        if (finished) {
            return;
        }
        put();
        told(error -> (int) Native.WRITER_FINISH.invokeExact(handle, error));
        failed = true;
        to.flush();
        failed = false;
        finished = true;
    }

    /**
     * Frees it, and leaves the stream below open. Without {@code finish} what was written does not open, so that a block that ends by
     * an exception leaves nothing that looks whole; where there was none, {@code finish} was forgotten.
     *
     * @throws IllegalStateException there was neither {@code finish}, {@code abandon} nor a failure
     */
    @Override
    public synchronized void close() {
        boolean forgotten = !closed && !finished && !failed;
        abandon();
        if (forgotten) {
            throw new IllegalStateException("the sealed stream was closed without finish(), so what was written does not open");
        }
    }

    /** Ends it without an end: what was written does not open. After {@code finish} it only frees. */
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
