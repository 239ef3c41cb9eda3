import io.pyroscope.labels.v2.LabelsSet;
import io.pyroscope.labels.v2.Pyroscope;

import java.util.ArrayList;
import java.util.List;

/** Is profiled by the agent that it is started with: one method spins, one allocates, one waits for a lock. */
public final class Busy {
    private static final Object LOCK = new Object();
    private static volatile long sink;

    public static void main(String[] arguments) throws InterruptedException {
        long until = System.currentTimeMillis() + Long.parseLong(arguments[0]);
        List<Thread> fighters = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            Thread fighter = new Thread(() -> fightForTheMonitor(until));
            fighter.start();
            fighters.add(fighter);
        }
        while (System.currentTimeMillis() < until) {
            Pyroscope.LabelsWrapper.run(new LabelsSet("phase", "spin"), () -> spinTheMachine(50));
            litterTheHeap(10_000);
        }
        for (Thread fighter : fighters) {
            fighter.join();
        }
    }

    static void spinTheMachine(long millis) {
        long until = System.nanoTime() + millis * 1_000_000;
        long value = sink;
        while (System.nanoTime() < until) {
            for (int i = 0; i < 10_000; i++) {
                value = value * 6364136223846793005L + i;
            }
        }
        sink = value;
    }

    static void litterTheHeap(int count) {
        long sum = 0;
        for (int i = 0; i < count; i++) {
            sum += new byte[1024].length;
        }
        sink += sum;
    }

    static void fightForTheMonitor(long until) {
        while (System.currentTimeMillis() < until) {
            holdTheMonitor();
        }
    }

    static void holdTheMonitor() {
        synchronized (LOCK) {
            try {
                Thread.sleep(20);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
