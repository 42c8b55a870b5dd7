using TorchSharp;

namespace ClusterNet.Learning.Native;

/// <summary>libtorch's number of threads, which belongs to the thread that calls it.</summary>
internal static class TorchThreads
{
    [ThreadStatic]
    private static int _current;

    /// <summary>Makes the operations that this thread starts from here on use so many threads.</summary>
    public static void Use(int threads)
    {
        if (_current == threads)
            return;
        torch.set_num_threads(threads);
        _current = threads;
    }
}
