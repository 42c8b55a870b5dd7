using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ClusterNet.Gateway.Inference.SharedMemory;

/// <summary>POSIX shared memory objects, by the system's own call: it looks nowhere but among these objects, and follows no links.</summary>
internal static class PosixMemory
{
    private const int ReadWrite = 2;

    // file descriptors are not inherited by programs that this process starts: glibc and musl set FD_CLOEXEC themselves

    /// <summary>An object that is there already.</summary>
    /// <param name="name">of the object, in ASCII, without a slash but at its start</param>
    /// <exception cref="IOException">there is none, or it may not be read and written</exception>
    public static SafeFileHandle Open(string name)
    {
        var descriptor = Open(name, ReadWrite, 0);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw new IOException(Marshal.GetLastPInvokeErrorMessage());
    }

    [DllImport("libc", EntryPoint = "shm_open", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Open(string name, int flags, uint mode);
}
