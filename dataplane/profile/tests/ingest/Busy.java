import java.util.*;
import java.util.concurrent.locks.LockSupport;
public class Busy {
    static final Object LOCK = new Object();
    static volatile Object sink;
    static long spin(long n) { long x = 1; for (long i = 0; i < n; i++) x = x * 31 + i; return x; }
    static void allocate() { for (int i = 0; i < 2000; i++) sink = new byte[4096]; }
    static void contend() { synchronized (LOCK) { try { Thread.sleep(15); } catch (InterruptedException e) {} } }
    public static void main(String[] args) throws Exception {
        long end = System.currentTimeMillis() + Long.parseLong(args[0]);
        Thread[] threads = new Thread[2];
        for (int t = 0; t < 2; t++) {
            threads[t] = new Thread(() -> { while (System.currentTimeMillis() < end) contend(); });
            threads[t].start();
        }
        while (System.currentTimeMillis() < end) { sink = spin(5_000_000); allocate(); LockSupport.parkNanos(15_000_000); }
        for (Thread t : threads) t.join();
    }
}
