using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ClusterNet.Cluster.Lanes;

/// <summary>
/// Linux's memory without a name (memfd), of a length that nobody can change, handed to another process over a Unix socket (SCM_RIGHTS). Who maps memory that its owner cuts short is ended by the system at the next
/// access, so none is taken that is not sealed against that; its pages are there from the start, so none is lacking later.
/// </summary>
internal static unsafe partial class SealedMemory
{
    private const uint CloseOnExec = 1;
    private const uint AllowSealing = 2;
    private const int AddSeals = 1033;
    private const int GetSeals = 1034;
    private const int Seals = 1 + 2 + 4; // no more seals, no shrinking, no growing

    private const int SocketLevel = 1;
    private const int Rights = 1;
    private const int NoSignal = 0x4000;
    private const int CloseOnExecReceived = 0x40000000;
    private const int Interrupted = 4;

    /// <summary>Memory filled with zeros.</summary>
    /// <exception cref="IOException">the system has none</exception>
    public static SafeFileHandle Create(long bytes)
    {
        var memory = CreateFile("clusternet-lane", CloseOnExec | AllowSealing);
        try
        {
            if (memory.IsInvalid)
                throw Failure("memfd_create");
            RandomAccess.SetLength(memory, bytes);
            if (Allocate(memory, 0, bytes) is not 0 and var error)
                throw new IOException($"posix_fallocate: {Marshal.GetPInvokeErrorMessage(error)}");
            if (Control(memory, AddSeals, Seals) != 0)
                throw Failure("fcntl");
            return memory;
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    /// <summary>Sends a byte, and with it the memory.</summary>
    /// <exception cref="IOException">the connection broke</exception>
    public static void Send(Socket socket, SafeFileHandle memory)
    {
        var isHeld = false;
        try
        {
            memory.DangerousAddRef(ref isHeld);
            byte letter = 0;
            var part = new Part { Start = &letter, Length = 1 };
            var envelope = new Envelope { Length = Envelope.LengthOfOne, Level = SocketLevel, Type = Rights, First = (int)memory.DangerousGetHandle() };
            var message = new Message { Parts = &part, PartCount = 1, Control = &envelope, ControlLength = (nuint)sizeof(Envelope) };
            while (SendMessage(socket.SafeHandle, &message, NoSignal) != 1)
                ThrowUnlessInterrupted("sendmsg");
        }
        finally
        {
            if (isHeld)
                memory.DangerousRelease();
        }
    }

    /// <summary>What <see cref="Send"/> sent.</summary>
    /// <param name="socket">blocking</param>
    /// <param name="bytes">how long it has to be</param>
    /// <exception cref="LaneViolationException">it is no such memory</exception>
    /// <exception cref="IOException">the connection broke</exception>
    public static SafeFileHandle Receive(Socket socket, long bytes)
    {
        byte letter = 0;
        var part = new Part { Start = &letter, Length = 1 };
        var envelope = default(Envelope);
        var message = new Message { Parts = &part, PartCount = 1, Control = &envelope, ControlLength = (nuint)sizeof(Envelope) };
        nint read;
        while ((read = ReceiveMessage(socket.SafeHandle, &message, CloseOnExecReceived)) < 0)
            ThrowUnlessInterrupted("recvmsg");
        if (read == 0)
            throw new EndOfStreamException();
        if (message.ControlLength < Envelope.LengthOfOne || envelope.Level != SocketLevel || envelope.Type != Rights)
            throw new LaneViolationException("it sends no memory where it should");
        var memory = new SafeFileHandle(envelope.First, ownsHandle: true);
        // the system puts in as many as there is room for
        using var another = envelope.Length > Envelope.LengthOfOne ? new SafeFileHandle(envelope.Second, ownsHandle: true) : null;
        if (another is null && IsSealed(memory) && RandomAccess.GetLength(memory) == bytes)
            return memory;
        memory.Dispose();
        throw new LaneViolationException("it sends what is no memory of a length that stays");
    }

    // what can have no seals, as a file, says -1
    private static bool IsSealed(SafeFileHandle memory) => Control(memory, GetSeals, 0) is > 0 and var seals && (seals & Seals) == Seals;

    private static void ThrowUnlessInterrupted(string call)
    {
        if (Marshal.GetLastPInvokeError() != Interrupted)
            throw Failure(call);
    }

    private static IOException Failure(string call) => new($"{call}: {Marshal.GetLastPInvokeErrorMessage()}");

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial SafeFileHandle CreateFile(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "posix_fallocate")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Allocate(SafeFileHandle file, long offset, long bytes);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Control(SafeFileHandle file, int command, int argument);

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint SendMessage(SafeSocketHandle socket, Message* message, int flags);

    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint ReceiveMessage(SafeSocketHandle socket, Message* message, int flags);

    // iovec
    private struct Part
    {
        public byte* Start;
        public nuint Length;
    }

    // msghdr
    private struct Message
    {
        public nint Name;
        public uint NameLength;
        public Part* Parts;
        public nuint PartCount;
        public Envelope* Control;
        public nuint ControlLength;
        public int Flags;
    }

    // cmsghdr, with as many descriptors as the room for one has for reasons of alignment
    private struct Envelope
    {
        public const int LengthOfOne = 20;

        public nuint Length;
        public int Level;
        public int Type;
        public int First;
        public int Second;
    }
}
